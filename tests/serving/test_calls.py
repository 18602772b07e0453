"""What comes back from a call, good or bad: the same over every transport and in both eras."""

import jsonschema
import pytest
from connections import Connect
from mcp import Client, MCPError
from sample_tools import SAMPLES

from dlcoder.server import DlcoderServer, Options
from dlcoder.tools import Listed

pytestmark = pytest.mark.anyio

# Arguments, and what the error has to say.
REFUSED = [
    ("echo", {"txt": "a"}, ["`txt`", "did you mean `text`", "`text` is missing", "Call echo again"]),
    ("echo", {"text": "a", "zzzz": 1}, ["no argument `zzzz`", "valid there: text, count, mode"]),
    ("echo", {"text": "a", "count": "many"}, ["`count` must be a valid integer"]),
    ("echo", {"text": "a", "count": 9}, ["`count` must be less than or equal to 5"]),
    ("echo", {"text": "a", "mode": "lout"}, ["`mode` must be one of plain, loud", "did you mean 'loud'"]),
    ("echo", {"text": "a", "tags": "x"}, ["`tags` must be a valid list"]),
    ("echo", {"text": "a", "tags": ["x", 3]}, ["`tags[1]` must be a valid string"]),
    ("echo", {"text": "a", "size": {"width": 99}}, ["`size.width` must be less than or equal to 64"]),
    ("echo", {"text": "a", "size": {"widht": 9}}, ["`widht`", "in `size`", "did you mean `width`"]),
    ("echo", {"text": "a", "size": '{"width": 99}'}, ["`size.width` must be less than or equal to 64"]),
    ("echo", {"text": "a", "source": 3}, ["`source` must be a valid string", "`source` must be a valid list"]),
    ("echo", {"text": "x" * 1001}, ["`text` must have at most 1000 characters"]),
    ("echo", {"text": "unspeakable"}, ["`text`: that cannot be said"]),
    ("echo", {}, ["`text` is missing", "text (required)"]),
    ("where", {"path": "/etc"}, ["outside the allowed directories", "--root"]),
    ("where", {"path": "a\0b"}, ["NUL"]),
    ("misbehave", {"how": "user"}, ["The flux is 7, above 3.", "Call misbehave again"]),
    ("misbehave", {"how": "crash"}, ["bug in dlcoder", "KeyError"]),
    ("misbehave", {"how": "exit"}, ["bug in dlcoder", "SystemExit"]),
    ("misbehave", {"how": "interrupt"}, ["bug in dlcoder", "KeyboardInterrupt"]),
    ("misbehave", {"how": "cancel"}, ["bug in dlcoder"]),
    ("misbehave", {"how": "text"}, ["bug in dlcoder", "RuntimeError"]),
    ("misbehav", {}, ["no tool of that name", "Did you mean misbehave?"]),
    ("qqqqqqqq", {}, ["no tool of that name", "The tools are echo, "]),
]


async def test_every_refusal_names_the_cause_and_the_way_out(connect: Connect) -> None:
    async with connect() as client:
        for tool, arguments, said in REFUSED:
            result = await client.call_tool(tool, arguments)
            text = result.content[0].text
            assert result.is_error and result.structured_content is None, (tool, arguments)
            assert all(part in text for part in said), (arguments, text)
            assert not any(part in text for part in ("pydantic", "Traceback", "secret", "xxxx", "Error executing")), (
                text
            )
            assert len(text) < 700
        # The server has survived all of it.
        assert (await client.call_tool("echo", {"text": "alive"})).structured_content == {"said": "alive", "notes": []}


async def test_the_cause_of_a_bug_is_in_the_servers_log(
    connect_in_memory: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect_in_memory() as client:
        await client.call_tool("misbehave", {"how": "crash"})
    assert "KeyError: 'secret detail'" in caplog.text


async def test_a_task_that_a_tool_left_behind_cannot_end_the_server(connect_in_memory: Connect) -> None:
    async with connect_in_memory() as client:
        result = await client.call_tool("misbehave", {"how": "stray"})
        assert "survived" in result.content[0].text


async def test_text_and_data_each_carry_the_answer(connect: Connect) -> None:
    async with connect() as client:
        schema = next(tool for tool in (await client.list_tools()).tools if tool.name == "echo").output_schema
        result = await client.call_tool("echo", {"text": "hi", "count": 2, "mode": "loud", "tags": ["a", "b"]})
    assert result.content[0].text == "HIHI a b"
    assert result.structured_content == {"said": "HIHI", "notes": [{"tag": "a"}, {"tag": "b"}]}
    jsonschema.validate(result.structured_content, schema)


async def test_what_json_cannot_carry_does_not_end_the_connection(connect: Connect) -> None:
    async with connect() as client:
        schema = next(tool for tool in (await client.list_tools()).tools if tool.name == "misbehave").output_schema
        result = await client.call_tool("misbehave", {"how": "bytes"})
    assert result.content[0].text == "half ? nan ?"
    assert result.structured_content == {"said": "half ?", "notes": [{"tag": "nan"}, {"tag": "?"}]}
    jsonschema.validate(result.structured_content, schema)


async def test_a_call_with_very_many_wrong_arguments_is_refused_soon_and_briefly(connect_in_memory: Connect) -> None:
    async with connect_in_memory() as client:
        result = await client.call_tool("echo", {f"argument_{number}" * 20: number for number in range(20_000)})
    assert result.is_error and len(result.content[0].text) < 1500


async def test_a_tool_that_cannot_be_imported_does_not_take_the_others_with_it() -> None:
    broken = Listed("broken", "broken", "never")
    async with Client(DlcoderServer(Options(tools=(broken, *SAMPLES)))) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == [listed.name for listed in SAMPLES]
        result = await client.call_tool("broken", {})
        assert result.is_error and "no tool of that name" in result.content[0].text


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": "a", "tags": '["x"]', "size": '{"width": 3}', "source": '["p", "q"]'},
        {"text": '["x"]', "count": "2", "size": None},
    ],
)
async def test_what_clients_send_as_json_text_is_understood(connect_in_memory: Connect, arguments: dict) -> None:
    async with connect_in_memory() as client:
        result = await client.call_tool("echo", arguments)
    assert not result.is_error
    if arguments["text"] == '["x"]':
        assert result.structured_content["said"] == '["x"]["x"]'  # a text stays a text, whatever it looks like


async def test_unknown_prompts_and_their_arguments_are_refused_with_the_nearest_name(connect: Connect) -> None:
    async with connect() as client:
        for name, arguments, said in [
            ("find_bugs", {"symptom": "nan"}, "Did you mean find_bug?"),
            ("find_bug", {}, "needs 'symptom'"),
            ("find_bug", {"symptom": "nan", "enviroment": "x"}, "Did you mean 'environment'?"),
        ]:
            with pytest.raises(MCPError, match=said.replace("?", r"\?")) as caught:
                await client.get_prompt(name, arguments)
            assert caught.value.error.code == -32602


async def test_unknown_resources_are_refused_with_what_there_is(connect: Connect) -> None:
    async with connect() as client:
        for uri in ("dlcoder://cuases", "dlcoder://templates/losses/qqqq", "dlcoder://templates/../../server", "x://y"):
            with pytest.raises(MCPError) as caught:
                await client.read_resource(uri)
            assert caught.value.error.code == -32602
            assert caught.value.error.data == {"uri": uri}
            assert "There is no" in caught.value.error.message
