"""From one question to the filled table, on a project that dlcoder made, through an MCP client."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from dlcoder import cli
from dlcoder.server import DlcoderServer, Options
from dlcoder.serving.roots import RootsPolicy

GOAL: dict[str, Any] = {
    "question": "Does a larger learning rate help, and does averaging the weights?",
    "task": "classification",
    "data": "generated images",
    "metric": "accuracy",
    "baseline": "tiny",
    "factors": {"train.lr": [0.001, 0.03], "train.ema_decay": [0.999, 0.5]},
    "seeds": 3,
    "path": "plan",
}


async def call(root: Path, name: str, arguments: dict[str, Any]) -> Any:
    async with Client(DlcoderServer(Options(RootsPolicy((root,))))) as client:
        result = await client.call_tool(name, arguments, read_timeout_seconds=300)
        assert not result.is_error, result.content[0].text
        return result


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose ordinary settings are those of its smoke test, but with more steps."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    scaffold = {"path": "tiny", "spec": {"task": "classification"}, "validate": "none"}
    anyio.run(call, tmp_path, "scaffold_project", scaffold)
    project = tmp_path / "tiny"
    smoke = (project / "configs" / "smoke.yaml").read_text()
    settings = smoke.replace("epochs: 2", "epochs: 3\n  lr: 0.001\n  ema_decay: 0.999")
    (project / "configs" / "default.yaml").write_text(settings)
    return tmp_path


def finished(folder: Path) -> list[Path]:
    return [path.parent for path in folder.glob("runs/*/arm.json") if '"finished"' in path.read_text()]


def workers(folder: Path) -> list[subprocess.Popen[bytes]]:
    """Two at a time, as one would start them for two GPUs."""
    command = [sys.executable, "-m", "dlcoder", "plan", "run", str(folder)]
    return [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]


@pytest.mark.slow
def test_a_project_is_compared_from_the_question_to_the_filled_table_though_it_is_killed_half_way(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = anyio.run(call, root, "plan_experiment", {"goal": GOAL}).structured_content
    assert data["budget"]["step_seconds"] > 0 and data["budget"]["steps"] == 18, "measured on the project itself"
    assert not [warning for warning in data.get("warnings", []) if "not in the baseline" in warning]
    folder = root / "plan"

    first = workers(folder)
    deadline = time.monotonic() + 300
    while len(finished(folder)) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    for worker in first:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert 5 <= len(finished(folder)) < 12
    assert [worker.wait(300) for worker in workers(folder)] == [0, 0]
    assert cli.main(["plan", "run", str(folder)]) == 0 and "12 of 12" in capsys.readouterr().out
    assert all(line.count(",finished,") == 1 for line in (folder / "results.csv").read_text().splitlines()[1:])

    result = anyio.run(call, root, "summarize_runs", {"paths": ["plan/runs"], "metric": "accuracy"})
    found = result.structured_content
    assert found["metric"] == "eval/metric_accuracy" and [arm["n"] for arm in found["arms"]] == [3, 3, 3, 3]
    assert found["baseline"] == "control" and "train.lr=0.03 x train.ema_decay=0.5" in found["contrasts"]
    assert all("difference_ci" in arm and arm["gpu_hours"] > 0 for arm in found["arms"][1:])
    assert not any("crashed" in warning or "differ in" in warning for warning in found["warnings"])
    assert [part.type for part in result.content][:2] == ["text", "image"]
