"""One connection to the sample server for every transport and both eras of the protocol."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from connections import MODES, SERVER, WAYS, Connect
from mcp import Client, StdioServerParameters
from sample_tools import SAMPLES

from dlcoder.server import DlcoderServer, Options
from dlcoder.serving.roots import RootsPolicy


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="session")
def http_url(root: Path) -> Iterator[str]:
    """The sample server over HTTP, one for all tests."""
    command = [sys.executable, SERVER, "--http", "--port", "0", "--root", str(root)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = re.search(r"http://\S+", process.stderr.readline())
        assert found, process.stderr.read()
        yield found.group()
        process.terminate()
        process.stderr.close()


@pytest.fixture(params=WAYS)
def connect(request: pytest.FixtureRequest, root: Path) -> Connect:
    """A way to connect: `async with connect(**client_options) as client`."""
    return _connector(request.param, root, request)


@pytest.fixture(params=[way for way in WAYS if way.startswith("memory")])
def connect_in_memory(request: pytest.FixtureRequest, root: Path) -> Connect:
    """The same without a process: for what happens above the transports."""
    return _connector(request.param, root, request)


def _connector(way: str, root: Path, request: pytest.FixtureRequest) -> Connect:
    transport, era = way.split("-")
    url = request.getfixturevalue("http_url") if transport == "http" else ""

    @asynccontextmanager
    async def connect(**options: Any) -> AsyncIterator[Client]:
        if transport == "memory":
            server: Any = DlcoderServer(Options(RootsPolicy((root,)), tools=SAMPLES))
        elif transport == "stdio":
            server = StdioServerParameters(command=sys.executable, args=[SERVER, "--root", str(root)])
        else:
            server = url
        async with Client(server, mode=MODES[era], **options) as client:
            yield client

    return connect
