"""The fixtures without the suite: they work in both eras, and nobody is served them unasked."""

import importlib.util
import sys
import time
from pathlib import Path

import pytest
from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp.types import ElicitResult, PromptReference

from dlcoder import conformance
from dlcoder.server import DlcoderServer

pytestmark = pytest.mark.anyio
SPEC = importlib.util.spec_from_file_location("conformance_run", Path(__file__).with_name("run.py"))
assert SPEC and SPEC.loader
run = importlib.util.module_from_spec(SPEC)
sys.modules["conformance_run"] = run
SPEC.loader.exec_module(run)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def server() -> MCPServer:
    served = DlcoderServer()
    conformance.register(served)
    return served


async def test_without_the_flag_no_fixture_is_served():
    async with Client(DlcoderServer()) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        prompts = [prompt.name for prompt in (await client.list_prompts()).prompts]
        uris = [resource.uri for resource in (await client.list_resources()).resources]
    assert names and not [name for name in [*names, *prompts, *uris] if str(name).startswith("test")]


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_fixtures_stand_beside_the_real_tools_in_both_eras(server, era):
    async with Client(server, mode=era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert "describe_environment" in tools
        assert tools["json_schema_2020_12_tool"].input_schema["allOf"]
        assert all(tool.description for tool in tools.values())
        text = (await client.call_tool("test_simple_text", {})).content[0].text
        assert text == "This is a simple text response for testing."
        failed = await client.call_tool("test_error_handling", {})
        assert failed.is_error and "intentionally" in failed.content[0].text


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_arguments_of_the_fixture_prompt_are_completed_in_both_eras(server, era):
    async with Client(server, mode=era) as client:
        ref = PromptReference(type="ref/prompt", name="test_prompt_with_arguments")
        completion = (await client.complete(ref, {"name": "arg1", "value": "par"})).completion
    assert completion.values == ["paris", "park", "party"]


async def test_a_question_of_the_new_era_is_answered_and_remembered(server):
    async def answer(context, params):
        field = next(iter(params.requested_schema["properties"]))
        return ElicitResult(action="accept", content={field: {"name": "Ann", "color": "green"}[field]})

    async with Client(server, elicitation_callback=answer) as client:
        result = await client.call_tool("test_input_required_result_multi_round", {})
    assert result.content[0].text == "Ann likes green."


@pytest.mark.parametrize(
    ("checks", "passed", "failed"),
    [
        ([{"id": "a", "status": "SUCCESS"}, {"id": "b", "status": "INFO"}], 1, 0),
        ([{"id": "a", "status": "SUCCESS"}, {"id": "b", "status": "FAILURE", "errorMessage": "no"}], 1, 1),
        ([{"id": "a", "status": "SKIPPED"}], 0, 1),
        ([], 0, 1),
    ],
)
def test_a_scenario_that_checked_nothing_has_failed(checks, passed, failed):
    result = run.judge("part", "scenario", checks)
    assert (result.passed, result.failed) == (passed, failed)


def test_a_step_that_breaks_off_is_counted_as_a_failure(capsys):
    def breaks():
        yield run.Result("part", "first", 1, 0)
        raise run.subprocess.TimeoutExpired("suite", 1)

    assert run.totals(run.attempt("part", breaks)) == (1, 1)
    assert "FAILED" in capsys.readouterr().out


def test_what_is_run_leaves_no_process_behind(tmp_path):
    pid_file = tmp_path / "pid"
    done = run.run(["sh", "-c", f"sleep 600 & echo $! > {pid_file}"], timeout_s=10, stream=True)
    pid = int(pid_file.read_text())
    assert done.returncode == 0
    deadline = time.monotonic() + 1
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(pid)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
