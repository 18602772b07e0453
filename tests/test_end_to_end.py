"""The promise as a whole: a project from an MCP client trains on two ranks, is killed, and goes on bit for bit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
STEPS_BEFORE_THE_KILL = 8
# Windows and epochs that do not divide the data, and checkpoints within an epoch.
SETTINGS = [
    "train.epochs=3",
    "train.accumulate=3",
    "train.save_every=2",
    "train.label_smoothing=0.1",
    "data.train_samples=120",
    "data.val_samples=33",
    "data.workers=1",
]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project that a client scaffolded, proved before it was handed over."""
    folder = tmp_path_factory.mktemp("root")

    async def scaffold() -> dict:
        server = StdioServerParameters(command=sys.executable, args=["-m", "dlcoder", "serve", "--root", str(folder)])
        async with Client(server, read_timeout_seconds=300) as client:
            answer = await client.call_tool(
                "scaffold_project", {"path": "classifier", "spec": {"task": "classification"}}
            )
            assert not answer.is_error, answer.content
            return answer.structured_content

    answer = anyio.run(scaffold)
    assert answer["validation"]["passed"]
    assert answer["assumptions"]
    return folder / "classifier"


def start(project: Path, run: Path, *arguments: str) -> subprocess.Popen:
    """Start training in a process group of its own, small enough for a test."""
    command = [*TORCHRUN, "train.py", "--config", "configs/smoke.yaml", "--run-dir", str(run), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, "--set", *SETTINGS],
        cwd=project,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def trace(run: Path, log: str = "metrics.jsonl") -> list[dict]:
    """The log of every step, without what a clock or an allocator says."""
    lines = (run / log).read_text().splitlines()
    measured = {"time_data", "time_iter", "max_mem"}
    return [{k: v for k, v in json.loads(line).items() if k not in measured} for line in lines]


def kill_after_some_steps(process: subprocess.Popen, run: Path) -> None:
    """SIGKILL the launcher and all ranks as soon as the run has logged enough."""
    log, deadline = run / "metrics.jsonl", time.monotonic() + 120
    while not (log.exists() and log.read_text().count("\n") >= STEPS_BEFORE_THE_KILL):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors


def test_a_killed_and_resumed_run_has_the_loss_trace_of_one_that_was_not(project, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finish(start(project, whole))

    kill_after_some_steps(start(project, broken), broken)
    assert 0 < len(trace(broken)) < len(trace(whole))
    finish(start(project, broken, "--resume"))

    assert trace(broken) == trace(whole)
    assert trace(broken, "eval.jsonl") == trace(whole, "eval.jsonl")
    assert (broken / "run-2.json").exists(), "each start is recorded"
    assert {"step", "epoch", "loss_total", "lr", "grad_norm"} <= trace(whole)[0].keys()


def test_the_project_passes_its_own_tests(project):
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=project,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert " passed" in result.stdout and "skipped" not in result.stdout
