"""Over HTTP only those are served who name this server, come from no foreign page, and have the token if one is set."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from connections import SERVER
from sample_tools import SAMPLES
from starlette.testclient import TestClient

from dlcoder.errors import UserError
from dlcoder.server import DlcoderServer, Options
from dlcoder.serving.http import HttpSettings, guarded_app, is_loopback, read_token

TOKEN = "correct-horse-battery"
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
ACCEPT = {"Accept": "application/json, text/event-stream"}


def post(settings: HttpSettings, headers: dict[str, str]) -> httpx2.Response:
    app = guarded_app(DlcoderServer(Options(tools=SAMPLES)), settings)
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        return client.post("/mcp", json=HELLO, headers={**ACCEPT, **headers})


LOOPBACK = HttpSettings()
ANYWHERE = HttpSettings("0.0.0.0", token=TOKEN, names=frozenset({"proxy.example.org"}))
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "127.0.0.1:8000"},
        {"Host": "localhost"},
        {"Host": "LOCALHOST:1234"},
        {"Host": "[::1]:8000"},
        {"Host": "localhost:8000", "Origin": "http://localhost:6274"},
        {"Host": "localhost:8000", "Origin": "http://127.0.0.1"},
    ],
)
def test_a_local_caller_is_served(headers: dict[str, str]) -> None:
    assert post(LOOPBACK, headers).status_code == 200


@pytest.mark.parametrize("settings", [LOOPBACK, ANYWHERE], ids=["loopback", "anywhere"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:8000"}, 421),
        ({"Host": "localhost.evil.example"}, 421),
        ({"Host": "evil.example#localhost"}, 421),
        ({"Host": ""}, 421),
        ({"Host": "[::1"}, 421),
        ({"Host": "localhost", "Origin": "http://evil.example"}, 403),
        ({"Host": "localhost", "Origin": "http://localhost.evil.example"}, 403),
        ({"Host": "localhost", "Origin": "http://evil.example/localhost"}, 403),
        ({"Host": "localhost", "Origin": "null"}, 403),
        ({"Host": "localhost", "Origin": ""}, 403),
    ],
)
def test_a_rebound_name_or_a_foreign_page_is_not_served(
    settings: HttpSettings, headers: dict[str, str], status: int
) -> None:
    reply = post(settings, {**AUTHORIZED, **headers})
    assert reply.status_code == status
    assert reply.json()["error"]["message"].startswith("The ")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong-wrong-wrong-wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"]
)
def test_beyond_the_loopback_interface_nobody_is_served_without_the_token(header: str | None) -> None:
    reply = post(ANYWHERE, {} if header is None else {"Authorization": header})
    assert reply.status_code == 401
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert TOKEN not in reply.text


def test_beyond_the_loopback_interface_the_token_opens_under_every_own_name() -> None:
    for host in ("127.0.0.1:8000", socket.gethostname(), "proxy.example.org", "proxy.example.org:443"):
        assert post(ANYWHERE, {**AUTHORIZED, "Host": host}).status_code == 200, host


def test_a_token_that_is_set_is_asked_for_on_the_loopback_interface_too() -> None:
    settings = HttpSettings(token=TOKEN)
    assert post(settings, {}).status_code == 401
    assert post(settings, AUTHORIZED).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "no such host"])
def test_without_a_token_only_the_loopback_interface_may_be_bound(host: str) -> None:
    with pytest.raises(UserError, match="DLCODER_TOKEN"):
        HttpSettings(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_the_loopback_interface_is_known_by_all_its_names(host: str) -> None:
    assert is_loopback(host)


def test_the_token_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    assert read_token(file, {}) == TOKEN
    assert read_token(None, {"DLCODER_TOKEN": TOKEN}) == TOKEN
    assert read_token(None, {}) is None
    with pytest.raises(UserError, match="fewer than 16"):
        read_token(None, {"DLCODER_TOKEN": "short"})
    with pytest.raises(UserError, match="cannot be read"):
        read_token(tmp_path / "absent", {})


def test_an_oversized_body_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlcoder.serving.http.MAX_LINE", 100)
    assert post(LOOPBACK, {}).status_code == 413


def run(*options: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DLCODER_TOKEN"}
    if token is not None:
        environment["DLCODER_TOKEN"] = token
    command = [sys.executable, SERVER, *options]
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
    )


def test_a_start_that_would_be_unsafe_or_impossible_is_refused_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for options, token, said in [
            (["--http", "--host", "0.0.0.0"], None, "no token is set"),
            (["--http", "--host", "0.0.0.0"], "short", "fewer than 16"),
            (["--http", "--port", str(taken.getsockname()[1])], None, "Cannot listen"),
            (["--root", str(tmp_path / "absent")], None, "is no directory"),
            (["--exclude-tools", "echo,wher"], None, "Did you mean where?"),
        ]:
            done = run(*options, token=token)
            assert done.returncode == 2
            assert said in done.stderr and done.stderr.count("\n") == 1
            assert done.stdout == ""
