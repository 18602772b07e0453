"""The command line: every tool as a command, made from the tool's own model."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dlcoder import cli
from dlcoder.errors import UserError
from dlcoder.terminal.command import exit_status
from dlcoder.terminal.live import LiveLine
from dlcoder.tools import Listed, available
from dlcoder.tools.base import Call, Tool, ToolInput, ToolOutput


class Data(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["synthetic", "folder"] = "synthetic"
    size: int = 32


class Spec(BaseModel):
    model_config = ConfigDict(extra="forbid")

    task: Literal["classify", "segment"] = Field(description="What to learn.")
    epochs: int = Field(3, ge=1)
    name: Annotated[str, AfterValidator(str.lower)] | None = None
    amp: bool = True
    data: Data = Field(default_factory=Data)
    steps: list[int] = Field(default_factory=list)


class BuildInput(ToolInput):
    path: str = Field(description="Where.")
    spec: Spec = Field(description="What, 100% of it.")
    dry_run: bool = Field(False, description="Only say.")
    level: Literal["none", "all"] = Field("none", description="How much.")
    copy_: bool = Field(True, alias="copy", description="A name that Python code cannot use as it is.")


class Built(ToolOutput):
    seen: dict[str, Any]
    passed: bool = True

    def text(self) -> str:
        return f"built {self.seen['path']}"


async def build(asked: BuildInput, call: Call) -> Built:
    if asked.path == "bad":
        raise UserError("The path is bad.", "Choose another.")
    call.progress("Building", 0.5)
    return Built(seen=asked.model_dump(), passed=asked.level == "none")


class ReadInput(ToolInput):
    log: str | None = Field(None, description="A log.")
    paths: list[str] = Field(default_factory=list, description="Logs.")
    code: str | None = Field(None, description="The code.")
    most: float = Field(5, description="How many.")
    checks: list[str] = Field(default=["one", "two"], description="Which.")
    contract: dict[str, Any] = Field(default_factory=dict, description="What holds.")


async def read(asked: ReadInput, call: Call) -> Built:
    return Built(seen={"path": "", **asked.model_dump()})


class WaitInput(ToolInput):
    path: str


async def wait(asked: WaitInput, call: Call) -> Built:
    process = await asyncio.create_subprocess_exec("sleep", "60", start_new_session=True)
    Path(asked.path).write_text(str(process.pid))
    await process.wait()
    return Built(seen={})


@dataclass(frozen=True)
class Sample(Listed):
    tool: Any = None

    def load(self) -> Any:
        return self.tool


SAMPLES = tuple(
    Sample(f"{name}_it", name, f"needing to {name}", Tool(f"{name}_it", name, "Does it, 100%.", model, Built, run))
    for name, model, run in (("build", BuildInput, build), ("read", ReadInput, read), ("wait", WaitInput, wait))
)


@pytest.fixture(autouse=True)
def samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "available", lambda: SAMPLES)


def seen(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    assert cli.main([*argv, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)["seen"]
    return found


def test_a_nested_argument_is_put_together_from_parts_files_and_json(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    wanted = {"task": "segment", "epochs": 2, "amp": False, "data": {"kind": "folder", "size": 8}, "steps": [1, 2]}
    for suffix, text in [
        (".yaml", "task: segment\nepochs: 9\namp: false\ndata: {kind: folder, size: 64}\nsteps: [1, 2]\n"),
        (".json", json.dumps({**wanted, "epochs": 9, "data": {"kind": "folder", "size": 64}})),
        (".toml", 'task = "segment"\nepochs = 9\namp = false\nsteps = [1, 2]\n[data]\nkind = "folder"\nsize = 64\n'),
    ]:
        file = tmp_path / f"spec{suffix}"
        file.write_text(text)
        found = seen(capsys, "build", "here", "--spec", str(file), "--spec", "data.size=8", "--epochs", "2")
        assert found["spec"] == wanted, suffix
    parts = ["task=segment", "epochs=2", "amp=false", "data.kind=folder", "data.size=8", "steps=[1, 2]"]
    assert seen(capsys, "build", "here", *(f"--spec={part}" for part in parts))["spec"] == wanted
    assert seen(capsys, "build", "here", "--spec", json.dumps(wanted))["spec"] == wanted


def test_an_argument_goes_by_the_name_that_callers_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert seen(capsys, "build", "here", "--task", "segment", "--no-copy")["copy_"] is False


def test_plain_parts_of_a_nested_argument_are_options_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    found = seen(capsys, "build", "here", "--task", "segment", "--name", "Net", "--no-amp", "--dry-run")
    assert found["spec"]["name"] == "net"
    assert found["spec"]["task"] == "segment" and found["spec"]["amp"] is False and found["dry_run"] is True
    assert found["path"] == "here" and found["level"] == "none"


def test_logs_come_from_files_or_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert seen(capsys, "read", "a.log", "b,c.log")["paths"] == ["a.log", "b,c.log"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"line \xff\n")))
    found = seen(capsys, "read", "-")
    assert found["log"] == "line \ufffd\n" and found["paths"] == []
    file = tmp_path / "model.py"
    file.write_text("x = 1\n")
    found = seen(capsys, "read", "--code", f"@{file}", "--checks", "a,b", "--checks", "c", "--most", "2.5")
    assert found["code"] == "x = 1\n" and found["checks"] == ["a", "b", "c"] and found["most"] == 2.5
    assert seen(capsys, "read", "--contract", "output.shape=B C", "--contract", "tol=1e-3")["contract"] == {
        "output": {"shape": "B C"},
        "tol": 0.001,
    }


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["build", "bad", "--task", "segment"], "dlcoder build: The path is bad. Choose another."),
        (["build", "here"], "`spec` is missing"),
        (["build", "here", "--spec", "tsk=segment"], "did you mean `task`?"),
        (["build", "here", "--spec", "task=segmnt"], "did you mean 'segment'?"),
        (["build", "here", "--task", "segment", "--epochs", "0"], "`spec.epochs` must be greater than or equal to 1"),
        (["build", "here", "--task", "segment", "--epochs", "x"], "`spec.epochs` must be a valid integer"),
        (["build", "here", "--spec", "absent.yaml"], "'absent.yaml' cannot be read"),
        (["build", "here", "--spec", '{"task": '], "the json cannot be parsed"),
        (["read", "--code", "@absent.py"], "'absent.py' cannot be read"),
        (["bild"], "Did you mean build?"),
        (["xyzzy"], "The commands are build, read, wait"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_with_status_2(
    capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    assert cli.main(argv) == 2
    output = capsys.readouterr()
    assert said in output.err and output.err.count("\n") == 1 and output.out == ""


def test_the_answer_is_text_or_data_and_the_status_says_whether_it_passed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["build", "here", "--task", "segment"]) == 0
    assert capsys.readouterr().out == "built here\n"
    assert cli.main(["build", "here", "--task", "segment", "--level", "all", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["passed"] is False


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"passed": True}, 0),
        ({"passed": False}, 1),
        ({"validation": {"passed": False}}, 1),
        ({"validation": {"passed": True}}, 0),
        ({"status": "failed"}, 1),
        ({"status": "degraded"}, 1),
        ({"status": "healthy"}, 0),
        ({"status": "unknown"}, 0),
        ({"findings": [{"rule": "x"}]}, 1),
        ({"findings": []}, 0),
        ({"templates": []}, 0),
    ],
)
def test_the_exit_status_tells_whether_something_is_wrong(data: dict[str, Any], status: int) -> None:
    assert exit_status(data) == status


def test_help_lists_what_there_is_and_each_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert "  build      when needing to build" in text and "  serve " in text and "scaffold_project" not in text
    with pytest.raises(SystemExit) as caught:
        cli.main(["build", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert caught.value.code == 0
    assert all(part in text for part in ("Does it, 100%.", "Where", "100% of it", "{classify,segment}", "(default: 3)"))


@pytest.mark.parametrize("listed", available(), ids=lambda listed: listed.command)
def test_every_tool_of_this_build_explains_itself(
    listed: Listed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "available", available)
    with pytest.raises(SystemExit) as caught:
        cli.main([listed.command, "--help"])
    assert caught.value.code == 0
    options = capsys.readouterr().out
    named = {"path", "paths", "template", "topic", "query"}
    for field_name, field in listed.load().input.model_fields.items():
        name = field.alias or field_name
        assert (name.upper() if name in named else f"--{name.replace('_', '-')}") in options


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_one_line_on_a_terminal_and_nothing_elsewhere() -> None:
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        line = LiveLine(stream)
        for step in range(100):
            line(f"step \x1b[31m{step}\nmore", step / 99)
        line("odd", float("nan"))
        line.clear()
    assert file.getvalue() == ""
    drawn = terminal.getvalue().split("\r\x1b[K")
    assert 2 <= len(drawn) < 10 and "\n" not in terminal.getvalue() and "\x1b[31m" not in terminal.getvalue()
    assert drawn[1] == "  0% step 0 more" and "100% step 99 more" in drawn and drawn[-1] == ""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_command_leaves_no_process(tmp_path: Path, number: signal.Signals, status: int) -> None:
    note = tmp_path / "pid"
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_cli as t; t.cli.available = "
    script += f"lambda: t.SAMPLES; sys.exit(t.cli.main(['wait', {str(note)!r}]))"
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 10
        while not (note.exists() and note.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(5) == status
        assert process.stderr and process.stderr.read() == b""
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)
