"""The end of the server reaches into the sandbox."""

import json
import subprocess
import sys
import time
from pathlib import Path

from connections import WITHIN_S

from dlcoder.serving.children import descendants

SLEEPER = """
import time
import torch

class Loss(torch.nn.Module):
    def forward(self, logits, target):
        time.sleep(60)
        return torch.nn.functional.cross_entropy(logits, target)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_nothing_of_a_sandboxed_run_outlives_its_server(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dlcoder", "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path) as server:
        assert server.stdin and server.stdout
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        call = {"name": "validate_code", "arguments": {"code": SLEEPER, "kind": "loss"}}
        for id, (method, params) in enumerate([("initialize", hello), ("tools/call", call)]):
            line = json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
            server.stdin.write(line.encode() + b"\n")
            server.stdin.flush()
            if method == "initialize":
                server.stdout.readline()
        # The supervisor, the warm worker, and the run itself with its keepers.
        deadline = time.monotonic() + 30
        while len(started := descendants(server.pid)) < 4:
            assert time.monotonic() < deadline and server.poll() is None
            time.sleep(0.05)
        start = time.monotonic()
        server.stdin.close()
        server.wait(5)
        assert time.monotonic() - start < WITHIN_S
        assert not [pid for pid in started if alive(pid)]
