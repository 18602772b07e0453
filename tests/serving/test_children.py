"""The processes below this one are found: none, living ones, and not those that have ended."""

import subprocess
import sys

LOOKS = """
import subprocess, sys
from dlcoder.serving.children import descendants
print(descendants())
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(descendants() == [child.pid], descendants(spare=[child.pid]))
child.communicate(b"\\n")
ended = subprocess.Popen(["true"], stdout=subprocess.PIPE)
ended.stdout.read()
while descendants():
    pass
print(ended.wait())
"""


def test_children_are_found_while_they_live_and_none_where_there_are_none() -> None:
    found = subprocess.run([sys.executable, "-c", LOOKS], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.splitlines() == ["[]", "True []", "0"]
