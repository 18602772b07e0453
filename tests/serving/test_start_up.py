"""A server that was only asked what it can do has loaded nothing that costs."""

import json
import subprocess
import sys

BANNED = ["torch", "numpy", "jinja2", "libcst", "ruff", "yaml", "hyperscan", "re2", "matplotlib"]

PROBE = f"""
import json, sys
from dlcoder.serving import lifecycle
def end(code):
    print(json.dumps([name for name in {BANNED!r} if name in sys.modules]), file=sys.stderr)
    sys.stderr.flush()
    import os; os._exit(code)
lifecycle._end = end
from dlcoder.cli import main
main(["serve"])
"""


def test_nothing_costly_is_imported_before_a_tool_needs_it() -> None:
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    messages = [
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list"},
        {"id": 3, "method": "prompts/list"},
        {"id": 4, "method": "resources/list"},
    ]
    lines = "".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in messages)
    done = subprocess.run([sys.executable, "-c", PROBE], input=lines, capture_output=True, text=True, timeout=30)
    answers = {answer["id"]: answer for answer in map(json.loads, done.stdout.splitlines())}
    assert answers.keys() == {1, 2, 3, 4} and all("result" in answer for answer in answers.values())
    assert json.loads(done.stderr.splitlines()[-1]) == []


def test_the_help_of_the_command_line_needs_neither_the_protocol_nor_a_tool() -> None:
    script = "import sys; from dlcoder.cli import main; main(['--help']); print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    loaded = set(done.stdout.splitlines())
    assert not loaded & {"mcp", "pydantic", "asyncio", *BANNED}
