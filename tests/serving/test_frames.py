"""Every message that waits for an answer gets one, however damaged it is."""

import json
import subprocess
import sys
from collections.abc import Iterator

import httpx2
import pytest
from connections import SERVER

from dlcoder.serving.frames import read_frame, recover_id
from dlcoder.serving.stdio import LineSplitter

PARSE, INVALID = -32700, -32600

# A damaged message, the ids that must be answered, the code.
DAMAGED = [
    (b"hello", [None], PARSE),
    (b'{"jsonrpc":"2.0","id":7,"method":"tools/ca', [7], PARSE),
    (b'{"jsonrpc":"2.0","id":"a-1","method":"ping"', ["a-1"], PARSE),
    (b'{"method":"ping","params":{"id":9},"jsonrpc":"2.0","id":8,}', [None], PARSE),
    (b'{"method":"ping","params":{"id":9,},"jsonrpc":"2.0","id":8}', [8], PARSE),
    (b'{"jsonrpc":"2.0","id":3,"method":"ping","params":{"x":"\xff\xfe"}}', [3], PARSE),
    (b'{"jsonrpc":"2.0","id":4,"method":"ping","params":' + b"[" * 100_000, [4], PARSE),
    (b'[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]', [1, 2], INVALID),
    (b"[]", [None], INVALID),
    (b'"text"', [None], INVALID),
    (b"17", [None], INVALID),
    (b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":[1,2]}', [5], INVALID),
    (b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":"x"}', [5], INVALID),
    (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', [None], INVALID),
    (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', [None], INVALID),
    (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', [None], INVALID),
    (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', [None], INVALID),
    (b'{"jsonrpc":"1.0","id":6,"method":"ping"}', [6], INVALID),
    (b'{"id":6,"method":"ping"}', [6], INVALID),
    (b'{"jsonrpc":"2.0","id":6,"method":17}', [6], INVALID),
    (b'{"jsonrpc":"2.0","id":6}', [6], INVALID),
]
IDS = [str(frame[:60]) for frame, _, _ in DAMAGED]


@pytest.mark.parametrize(("frame", "ids", "code"), DAMAGED, ids=IDS)
def test_a_damaged_message_is_refused_to_those_who_wait(frame: bytes, ids: list, code: int) -> None:
    refusals = read_frame(frame)
    assert isinstance(refusals, list)
    assert [refusal.id for refusal in refusals] == ids
    assert {refusal.code for refusal in refusals} == {code}
    assert all(0 < len(refusal.message) < 100 for refusal in refusals)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"jsonrpc":"2.0","id":0,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":"","method":"ping","params":{}}',
        b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
        b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"id":null}}',
        b'{"jsonrpc":"2.0","id":1,"result":{}}',
        b'{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}',
    ],
)
def test_a_sound_message_is_not_refused(frame: bytes) -> None:
    assert not isinstance(read_frame(frame), list)


def test_the_id_of_a_cut_message_is_found_at_either_end_and_nowhere_else() -> None:
    filler = b'"' + b"x" * 10_000
    assert recover_id(b'{"jsonrpc":"2.0","id":12,"method":"m","params":{"a":' + filler) == 12
    assert recover_id(b'{"method":"m","params":{"id":3,"a":' + filler + b'"},"jsonrpc":"2.0","id":13}') == 13
    assert recover_id(b'{"method":"m","params":{"id":3,"a":' + filler) is None
    assert recover_id(b'[{"id":3}') is None


def test_lines_are_cut_the_same_however_the_bytes_arrive() -> None:
    text = b"one\n\ntwo two\nlast"
    for size in range(1, len(text) + 1):
        splitter = LineSplitter()
        lines = [line for at in range(0, len(text), size) for line in splitter.feed(text[at : at + size])] + [
            splitter.finish()
        ]
        assert lines == [(b"one", True), (b"", True), (b"two two", True), (b"last", True)]


@pytest.mark.parametrize("size", [1000, 7001, 100_000])
def test_of_a_line_that_is_too_long_only_the_ends_are_kept(size: int) -> None:
    line = b'{"id":5,' + b"x" * 90_000 + b'"jsonrpc":"2.0"}'
    text = line + b"\nnext\n"
    splitter = LineSplitter(limit=20_000)
    lines = []
    for at in range(0, len(text), size):
        lines += splitter.feed(text[at : at + size])
        assert sum(map(len, splitter._parts)) <= 20_000 + size
    assert [whole for _, whole in lines] == [False, True]
    assert recover_id(lines[0][0]) == 5
    assert lines[0][0].endswith(b'"jsonrpc":"2.0"}')
    assert lines[1][0] == b"next"


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen]:
    with subprocess.Popen([sys.executable, SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.stdin.close()


def test_over_stdio_each_is_answered_and_the_next_is_served(server: subprocess.Popen) -> None:
    assert server.stdin and server.stdout
    huge = b'{"jsonrpc":"2.0","id":70,"method":"ping","params":{"x":"' + b"y" * (65 << 20) + b'"}}'
    frames = [*DAMAGED, (huge, [70], INVALID)]
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    request = {"jsonrpc": "2.0", "id": "first", "method": "initialize", "params": hello}
    server.stdin.write(json.dumps(request).encode() + b"\n\n")
    server.stdin.flush()
    assert json.loads(server.stdout.readline())["id"] == "first"
    for number, (frame, ids, code) in enumerate(frames):
        server.stdin.write(
            frame + b"\n" + json.dumps({"jsonrpc": "2.0", "id": f"p{number}", "method": "ping"}).encode()
        )
        server.stdin.write(b"\n")
        server.stdin.flush()
        answers = [json.loads(server.stdout.readline()) for _ in range(len(ids) + 1)]
        errors = [answer for answer in answers if "error" in answer]
        assert [error["id"] for error in errors] == ids, frame[:80]
        assert {error["error"]["code"] for error in errors} == {code}
        assert [answer["id"] for answer in answers if "result" in answer] == [f"p{number}"]


def test_over_http_each_is_answered(http_url: str) -> None:
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    with httpx2.Client() as client:
        for frame, ids, code in DAMAGED:
            reply = client.post(http_url, content=frame, headers=headers)
            assert reply.status_code == 400, frame[:80]
            assert reply.json()["error"]["code"] == code
            assert reply.json()["id"] == (ids[0] if len(ids) == 1 else None)


def test_unusable_parameters_of_a_known_method_are_invalid_params(server: subprocess.Popen) -> None:
    assert server.stdin and server.stdout
    for params in ({}, {"name": 3}, {"name": "echo", "arguments": [1]}, {"name": "echo", "arguments": "x"}):
        request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        server.stdin.write(json.dumps(request).encode() + b"\n")
        server.stdin.flush()
        assert json.loads(server.stdout.readline())["error"]["code"] == -32602
