"""From the answer about a run to everything that the run printed, by the links in the answer."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from connections import MODES
from mcp import Client, MCPError, StdioServerParameters
from mcp.types import CallToolResult

from dlcoder import cli
from dlcoder.server import DlcoderServer, Options
from dlcoder.serving.roots import RootsPolicy

pytestmark = pytest.mark.anyio
WAYS = [(transport, era) for transport in ("memory", "stdio") for era in MODES]
PRINTED = "".join(f"print number {number}\n" for number in range(5000))
LOSS = """
import torch

for number in range(5000):
    print("print number", number)

class Loss(torch.nn.Module):
    def forward(self, logits, target):
        return torch.nn.functional.cross_entropy(logits{}, target)
"""
PROJECT = """
import torch

print("the project was here")
raise RuntimeError("no data")
"""


def connected(transport: str, era: str, root: Path) -> Client:
    server: Any = DlcoderServer(Options(RootsPolicy((root,))))
    if transport == "stdio":
        server = StdioServerParameters(command=sys.executable, args=["-m", "dlcoder", "serve", "--root", str(root)])
    return Client(server, mode=MODES[era])


def links(result: CallToolResult) -> dict[str, str]:
    """Address by name; the text comes first."""
    first, *others = result.content
    assert first.type == "text" and {other.type for other in others} <= {"resource_link"}
    return {link.name: link.uri for link in others}


async def checked(client: Client, code: str) -> CallToolResult:
    arguments = {"code": code, "kind": "loss", "checks": ["gradient-flows"], "device": "cpu"}
    result = await client.call_tool("validate_code", arguments)
    assert not result.is_error, result.content[0].text
    return result


@pytest.mark.parametrize(("transport", "era"), WAYS)
async def test_a_failure_links_to_all_that_was_printed_and_measured(transport: str, era: str, tmp_path: Path) -> None:
    async with connected(transport, era, tmp_path) as client:
        result = await checked(client, LOSS.format(".detach()"))
        data, found = result.structured_content, links(result)
        assert not data["passed"] and data["artifacts"] == list(found.values())
        assert all(uri in result.content[0].text for uri in found.values())
        (log,) = (await client.read_resource(found["output.log"])).contents
        assert log.mime_type == "text/plain" and log.text == PRINTED
        (frames,) = (await client.read_resource(found["frames.jsonl"])).contents
        assert frames.mime_type == "application/x-ndjson"
        checks = [json.loads(line)["check"] for line in frames.text.splitlines()]
        (failed,) = [check for check in checks if check["status"] == "fail"]
        assert failed["name"] == "gradient-flows" and failed["measured"] == "none"
        listed = [resource.uri for resource in (await client.list_resources()).resources]
        assert not set(found.values()) & set(listed)
        with pytest.raises(MCPError, match="There is no such"):
            await client.read_resource(found["output.log"].replace("runs/", "runs/x"))


async def test_a_success_has_its_links_beside_the_text_not_in_it(tmp_path: Path) -> None:
    async with connected("memory", "modern", tmp_path) as client:
        result = await checked(client, LOSS.format(""))
        assert result.structured_content["passed"] and links(result).keys() == {"output.log", "frames.jsonl"}
        assert "dlcoder://" not in result.content[0].text
        log = await client.session.read_resource(links(result)["output.log"])
        assert log.cache_scope == "private"


async def test_a_project_links_to_what_its_processes_printed(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(PROJECT)
    (tmp_path / "pyproject.toml").write_text('[tool.dlcoder.smoke]\nentry = "train.py"\n')
    async with connected("memory", "modern", tmp_path) as client:
        result = await client.call_tool("smoke_test", {"path": str(tmp_path), "checks": ["one_batch"], "device": "cpu"})
        assert not result.is_error, result.content[0].text
        (log,) = (await client.read_resource(links(result)["output.log"])).contents
    assert "the project was here\n" in log.text and "RuntimeError: no data" in log.text


async def test_the_proof_of_a_component_is_linked(tmp_path: Path) -> None:
    async with connected("memory", "modern", tmp_path) as client:
        result = await client.call_tool("render_template", {"template": "losses/dice"})
        assert list(links(result).values()) == result.structured_content["validation"]["artifacts"]
        (frames,) = (await client.read_resource(links(result)["frames.jsonl"])).contents
    assert len(frames.text.splitlines()) >= len(result.structured_content["validation"]["checks"])


@pytest.mark.parametrize(("version", "kinds"), [("2025-03-26", {"text"}), ("2025-06-18", {"text", "resource_link"})])
def test_a_client_that_knows_no_links_gets_none(version: str, kinds: set[str]) -> None:
    hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    asked = {"code": LOSS.format(""), "kind": "loss", "checks": ["output"], "device": "cpu"}
    messages: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "validate_code", "arguments": asked}},
    ]
    command = [sys.executable, "-m", "dlcoder", "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin and server.stdout
        server.stdin.write("".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in messages))
        server.stdin.flush()
        hello_back, answer = (json.loads(server.stdout.readline())["result"] for _ in range(2))
        server.stdin.close()
    assert hello_back["protocolVersion"] == version and answer["structuredContent"]["passed"]
    assert {block["type"] for block in answer["content"]} == kinds


def test_a_command_links_to_nothing_because_nothing_would_be_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "loss.py"
    path.write_text(LOSS.format(".detach()"))
    assert cli.main(["validate", str(path), "--kind", "loss", "--checks", "gradient-flows", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["artifacts"] == []
