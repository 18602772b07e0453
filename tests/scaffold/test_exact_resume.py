"""A run that is killed at any moment and resumed is, bit for bit, the run that nobody killed.

On two ranks: `test_end_to_end.py`.
"""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from projects import PYTHON, QUICK, write_project

SETTINGS = [
    "train.epochs=3",
    "train.accumulate=3",
    "train.save_every=2",
    "train.label_smoothing=0.1",
    "data.train_samples=120",
    "data.val_samples=33",
    "data.workers=1",
]
TIMES = ("time_data", "time_iter", "max_mem")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("projects") / "waves")


def start(project: Path, folder: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [PYTHON, "train.py", "--config", "configs/smoke.yaml", "--run-dir", str(folder), *more]
    return subprocess.Popen(
        [*command, "--set", *SETTINGS], cwd=project, env=QUICK, start_new_session=True, stderr=subprocess.DEVNULL
    )


def finish(project: Path, folder: Path, *more: str) -> None:
    assert start(project, folder, *more).wait(timeout=120) == 0


def kill_after(steps: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    """SIGKILL every process of the run a random moment after it logged `steps` steps."""
    log = folder / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not log.exists() or log.read_bytes().count(b"\n") < steps:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    time.sleep(random.Random(steps).uniform(0, 0.02))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def trace(folder: Path, name: str = "metrics.jsonl") -> list[dict[str, object]]:
    records = [json.loads(line) for line in (folder / name).read_text().splitlines()]
    return [{k: v for k, v in record.items() if k not in TIMES} for record in records]


def test_a_run_killed_at_any_step_goes_on_as_if_it_had_not_been(project: Path, tmp_path: Path) -> None:
    whole, killed, kills = tmp_path / "whole", tmp_path / "killed", (1, 13)
    finish(project, whole)
    for steps in kills:
        kill_after(steps, start(project, killed, "--resume"), killed)
    finish(project, killed, "--resume")
    assert trace(killed) == trace(whole)
    assert trace(killed, "eval.jsonl") == trace(whole, "eval.jsonl")
    assert (killed / f"run-{len(kills) + 1}.json").exists(), "each start is recorded"
