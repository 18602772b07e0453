"""What a client is shown: few tokens, complete, always the same, and as it was last agreed upon.

`DLCODER_UPDATE_SNAPSHOTS=1 pytest tests/serving/test_definitions.py` writes the definitions of today.
"""

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from connections import MODES, Connect
from mcp import Client
from sample_tools import SAMPLES

from dlcoder.errors import UserError
from dlcoder.server import DlcoderServer, Options, instructions
from dlcoder.tools import TOOLS, available

pytestmark = pytest.mark.anyio
SNAPSHOTS = Path(__file__).parents[1] / "snapshots"
NAMES = [listed.name for listed in available()]


async def definitions(options: Options | None = None, era: str = "modern") -> list[dict[str, Any]]:
    async with Client(DlcoderServer(options), mode=MODES[era]) as client:
        tools = (await client.list_tools()).tools
    return [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]


def tokens(value: Any) -> float:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":"))) / 4


async def test_every_tool_of_this_build_is_served_in_the_fixed_order() -> None:
    assert [tool["name"] for tool in await definitions()] == NAMES
    assert [listed.name for listed in TOOLS if listed.name in NAMES] == NAMES


@pytest.mark.parametrize("name", NAMES)
async def test_the_definition_is_as_agreed(name: str) -> None:
    (found,) = [tool for tool in await definitions() if tool["name"] == name]
    snapshot = SNAPSHOTS / f"{name}.json"
    if os.environ.get("DLCODER_UPDATE_SNAPSHOTS"):
        SNAPSHOTS.mkdir(exist_ok=True)
        snapshot.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert found == json.loads(snapshot.read_text(encoding="utf-8")), "run with DLCODER_UPDATE_SNAPSHOTS=1 if meant"


def test_no_snapshot_is_left_of_a_tool_that_is_gone() -> None:
    assert {path.stem for path in SNAPSHOTS.glob("*.json")} == set(NAMES)


def nodes(schema: Any) -> list[dict[str, Any]]:
    """Every schema inside a schema."""
    if isinstance(schema, list):
        return [node for item in schema for node in nodes(item)]
    if not isinstance(schema, dict):
        return []
    below = [schema.get(key) for key in ("items", "additionalProperties", "anyOf", "oneOf", "allOf")]
    below += [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    return [schema, *(node for item in below for node in nodes(item))]


async def test_definitions_are_complete_and_lean() -> None:
    for tool in await definitions(Options(tools=(*available(), *SAMPLES))):
        assert len(tool["name"]) <= 64 and tool["title"] and 0 < len(tool["description"]) < 2048
        hints = tool["annotations"]
        assert {key: type(value) for key, value in hints.items()} == {
            "title": str,
            "readOnlyHint": bool,
            "destructiveHint": bool,
            "idempotentHint": bool,
            "openWorldHint": bool,
        }
        assert not (hints["readOnlyHint"] and hints["destructiveHint"])
        for key in ("inputSchema", "outputSchema"):
            schema = tool[key]
            jsonschema.Draft202012Validator.check_schema(schema)
            assert schema["type"] == "object" and not {"anyOf", "oneOf", "allOf", "$ref"} & schema.keys()
            assert not [node for node in nodes(schema) if "title" in node], "generated titles"
        assert tool["inputSchema"]["additionalProperties"] is False
        for name, field in tool["inputSchema"]["properties"].items():
            assert field.get("description"), f"{tool['name']}.{name} is not described"
            assert {"type": "null"} not in field.get("anyOf", [])


async def test_all_definitions_together_cost_less_than_6000_tokens() -> None:
    found = await definitions()
    assert sum(map(tokens, found)) < 6000, {tool["name"]: tokens(tool) for tool in found}


async def test_both_eras_and_every_transport_list_the_same(connect: Connect) -> None:
    async with connect() as client:
        first = (await client.list_tools()).tools
        if client.protocol_version == MODES["modern"]:
            result = await client.session.list_tools()
            assert result.ttl_ms == 3_600_000 and result.cache_scope == "public"
        info = client.session.initialize_result if client.protocol_version != MODES["modern"] else None
        if info is not None:
            assert info.server_info.name == "dlcoder" and info.server_info.version and info.server_info.title
            assert info.instructions
    expected = await definitions(Options(tools=SAMPLES))
    assert [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in first] == expected


def test_the_instructions_fit_and_name_what_is_served_and_nothing_else() -> None:
    text = instructions(TOOLS)
    assert len(text.encode()) < 2048
    assert all(listed.name in text for listed in TOOLS)
    assert "diagnose_log" not in instructions([listed for listed in TOOLS if listed.name != "diagnose_log"])


@pytest.mark.parametrize("era", MODES)
async def test_read_only_and_excluded_tools_are_neither_listed_nor_callable(era: str) -> None:
    options = Options(tools=SAMPLES, read_only=True, excluded=frozenset({"echo"}))
    async with Client(DlcoderServer(options), mode=MODES[era]) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["misbehave", "work", "where"]
        for name in ("echo", "write"):
            result = await client.call_tool(name, {"text": "a", "path": "a"})
            assert result.is_error and "no tool of that name" in result.content[0].text
    assert "echo" not in instructions(options.chosen)


def test_excluding_what_does_not_exist_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match="Did you mean misbehave"):
        DlcoderServer(Options(tools=SAMPLES, excluded=frozenset({"misbehav"})))
