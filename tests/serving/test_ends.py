"""However the end comes, the server and everything that it started is gone within a second."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from connections import SERVER, WITHIN_S

from dlcoder.serving.children import descendants


class Session:
    """A server in the middle of calls, spoken to over bare pipes."""

    def __init__(self, note: Path, *calls: dict[str, Any]) -> None:
        self.note = note
        self.process = subprocess.Popen(
            [sys.executable, SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        self.send({"id": 0, "method": "initialize", "params": hello})
        self.receive()
        for id, arguments in enumerate(calls, 1):
            self.send({"id": id, "method": "tools/call", "params": {"name": "work", "arguments": arguments}})

    def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def receive(self) -> Any:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def started(self) -> list[int]:
        """The two processes of a call, once they are there."""
        wait_for(lambda: self.note.exists() and len(self.note.read_text().split()) >= 2)
        return [int(pid) for pid in self.note.read_text().split()]


def wait_for(condition: Callable[[], Any], within_s: float = 10.0) -> float:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < within_s
        time.sleep(0.01)
    return time.monotonic() - start


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def note(tmp_path: Path) -> Iterator[Path]:
    note = tmp_path / "pids"
    yield note
    for pid in note.read_text().split() if note.exists() else ():
        if alive(int(pid)):
            os.kill(int(pid), signal.SIGKILL)


def end(session: Session, how: str) -> None:
    if how == "eof":
        assert session.process.stdin
        session.process.stdin.close()
    else:
        session.process.send_signal(getattr(signal, how))


@pytest.mark.parametrize(("how", "code"), [("eof", 0), ("SIGTERM", 143), ("SIGINT", 130), ("SIGHUP", 129)])
def test_the_server_ends_with_everything_it_started(note: Path, how: str, code: int) -> None:
    # One call kills its own tree when cancelled, one forgets to, one computes without a pause.
    calls = [{"seconds": 60, "how": how, "note": str(note)} for how in ("tree", "leak")]
    session = Session(note, *calls)
    wait_for(lambda: note.exists() and len(note.read_text().split()) == 4)
    session.send(
        {"id": 9, "method": "tools/call", "params": {"name": "work", "arguments": {"seconds": 30, "how": "block"}}}
    )
    pids = [int(pid) for pid in note.read_text().split()]
    assert set(pids) <= set(descendants(session.process.pid))
    end(session, how)
    took = wait_for(lambda: session.process.poll() is not None)
    assert took < WITHIN_S
    assert not [pid for pid in pids if alive(pid)]
    assert session.process.stderr and session.process.stderr.read() == b""
    assert session.process.returncode == code


def test_the_server_ends_when_its_client_is_killed_and_someone_else_holds_the_pipe(note: Path) -> None:
    # The client gives its end of the pipe to a bystander, who lives on: there is no end of input to be seen.
    client = f"""
import json, subprocess, sys, time
server = subprocess.Popen([sys.executable, {SERVER!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
bystander = subprocess.Popen(["sleep", "30"], pass_fds=[server.stdin.fileno()])
def send(message):
    server.stdin.write(json.dumps(dict(message, jsonrpc="2.0")).encode() + b"\\n")
    server.stdin.flush()
send({{"id": 0, "method": "initialize", "params": {{"protocolVersion": "2025-11-25", "capabilities": {{}},
      "clientInfo": {{"name": "t", "version": "1"}}}}}})
server.stdout.readline()
send({{"id": 1, "method": "tools/call", "params": {{"name": "work",
      "arguments": {{"seconds": 60, "how": "leak", "note": {str(note)!r}}}}}}})
print(server.pid, bystander.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", client], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        server, bystander = map(int, process.stdout.readline().split())
        wait_for(lambda: note.exists() and len(note.read_text().split()) == 2)
        process.kill()
    try:
        pids = [server, *map(int, note.read_text().split())]
        assert wait_for(lambda: not [pid for pid in pids if alive(pid)]) < WITHIN_S
    finally:
        os.kill(bystander, signal.SIGKILL)


def test_what_was_asked_just_before_the_input_ended_is_still_answered(note: Path) -> None:
    session = Session(note)
    session.send({"id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {"text": "last words"}}})
    end(session, "eof")
    answer = session.receive()
    assert answer["id"] == 1 and answer["result"]["structuredContent"]["said"] == "last words"
    assert session.process.wait() == 0


def test_a_client_that_stops_reading_cannot_keep_the_server(note: Path) -> None:
    session = Session(note)
    for id in range(1, 60):
        arguments = {"text": "x" * 1000, "count": 5}
        session.send({"id": id, "method": "tools/call", "params": {"name": "echo", "arguments": arguments}})
    time.sleep(0.3)
    session.process.terminate()
    assert wait_for(lambda: session.process.poll() is not None) < WITHIN_S


def test_a_signal_ends_the_http_server_with_everything_it_started(note: Path) -> None:
    command = [sys.executable, SERVER, "--http", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        url = process.stderr.readline().split()[-1]
        envelope = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        arguments = {"seconds": 60, "how": "leak", "note": str(note)}
        call = {"name": "work", "arguments": arguments, "_meta": envelope}
        headers = {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": "work",
        }
        request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}

        def call_and_wait() -> None:
            with contextlib.suppress(httpx2.HTTPError):
                httpx2.post(url, json=request, headers=headers, timeout=20)

        caller = threading.Thread(target=call_and_wait)
        caller.start()
        wait_for(lambda: note.exists() and len(note.read_text().split()) == 2)
        process.terminate()
        took = wait_for(lambda: process.poll() is not None)
        caller.join()
        assert took < WITHIN_S
        assert not [pid for pid in map(int, note.read_text().split()) if alive(pid)]
