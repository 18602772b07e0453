"""The launch scripts, checked by shellcheck and run under a Slurm made of three small programs."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from projects import PYTHON, QUICK, write_project

from dlcoder.scaffold.launchers import LAUNCHERS, script_name

SLOW = "data.workers=0 data.train_samples=4000 data.val_samples=10 train.epochs=1"

SRUN = """
import os, signal, subprocess, sys
tasks, words = int(os.environ["FAKE_TASKS"]), [word for word in sys.argv[1:] if not word.startswith("--kill-on")]
started = []
for number in range(tasks):
    ids = {"SLURM_PROCID": number, "SLURM_LOCALID": number, "SLURM_NTASKS": tasks, "SLURM_NNODES": 1}
    ids["SLURM_STEP_NODELIST"] = "n[1-2]"
    environment = {**os.environ, **{name: str(value) for name, value in ids.items()}}
    started.append(subprocess.Popen(words, env=environment))
with open(os.environ["FAKE_PIDS"] + ".new", "w") as file:
    file.write(" ".join(str(task.pid) for task in started))
os.rename(file.name, os.environ["FAKE_PIDS"])
sys.exit(max(task.wait() for task in started))
"""
SCONTROL = """
import os, sys
if sys.argv[1] == "show":
    print("127.0.0.1\\n127.0.0.2")
else:
    open(os.environ["FAKE_QUEUE"], "a").write(" ".join(sys.argv[1:]) + "\\n")
"""
SCANCEL = """
import os, signal, sys
assert sys.argv[1:] == ["--signal=TERM", os.environ["SLURM_JOB_ID"]]
for pid in open(os.environ["FAKE_PIDS"]).read().split():
    os.kill(int(pid), signal.SIGTERM)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("slurm") / "waves", launcher="sbatch")


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """The environment of a job of two tasks, whose Slurm is a folder of programs."""
    programs = {
        "srun": SRUN,
        "scontrol": SCONTROL,
        "scancel": SCANCEL,
        "python": "import os, sys\nos.execv(PY, [PY, *sys.argv[1:]])",
    }
    for name, code in programs.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!{PYTHON}\nPY = {PYTHON!r}\n{code}")
        path.chmod(0o755)
    return {
        **QUICK,
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "SLURM_JOB_ID": str(10000 + os.getpid() % 10000),
        "FAKE_TASKS": "2",
        "FAKE_PIDS": str(tmp_path / "pids"),
        "FAKE_QUEUE": str(tmp_path / "queue"),
    }


def steps(project: Path, job: str) -> list[int]:
    log = project / f"runs/slurm-{job}/metrics.jsonl"
    return [json.loads(line)["step"] for line in log.read_text().splitlines()] if log.exists() else []


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_shellcheck_finds_nothing(tmp_path: Path, launcher: str) -> None:
    project = write_project(tmp_path / "waves", launcher=launcher)
    scripts = sorted((project / "scripts").iterdir())
    assert [script.name for script in scripts] == sorted(map(script_name, LAUNCHERS[launcher].scripts))
    assert all(os.access(script, os.X_OK) for script in scripts)
    checker = Path(PYTHON).with_name("shellcheck")
    done = subprocess.run(
        [checker, *scripts],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_a_job_saves_before_its_time_limit_requeues_and_goes_on(project: Path, slurm: dict[str, str]) -> None:
    job = slurm["SLURM_JOB_ID"]
    command = ["bash", "scripts/train.sbatch", "--config", "configs/smoke.yaml", "--set", *SLOW.split()]
    first = subprocess.Popen(command, cwd=project, env=slurm, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(steps(project, job)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    first.send_signal(signal.SIGUSR1)
    errors = first.communicate(timeout=60)[1]
    assert first.returncode == 143, errors
    assert Path(slurm["FAKE_QUEUE"]).read_text() == f"requeue {job}\n"
    before = steps(project, job)
    assert 3 <= len(before) < 133

    subprocess.run(command, cwd=project, env=slurm, check=True, timeout=120, capture_output=True)
    after = steps(project, job)
    assert after == list(range(1, after[-1] + 1)) and after[-1] > before[-1]
    assert len(Path(slurm["FAKE_QUEUE"]).read_text().splitlines()) == 1, "a finished job is not queued again"


def test_a_job_that_fails_is_not_queued_again(project: Path, slurm: dict[str, str]) -> None:
    slurm["SLURM_JOB_ID"] = "7"
    arguments: list[Any] = ["--config", "configs/smoke.yaml", "--set", "train.lr=high"]
    done = subprocess.run(
        ["bash", "scripts/train.sbatch", *arguments],
        cwd=project,
        env=slurm,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1 and "train.lr must be float" in done.stderr
    assert not Path(slurm["FAKE_QUEUE"]).exists()
