"""Whatever drives a project's training: the same numbers, exact resume, proved in the sandbox."""

import asyncio
import json
import subprocess
import textwrap
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from projects import PYTHON, QUICK, spec

from dlcoder.scaffold.frameworks import FRAMEWORKS
from dlcoder.scaffold.project import scaffold_project
from dlcoder.scaffold.spec import ProjectSpec

NAMES = list(FRAMEWORKS)
TIMES = ("time_data", "time_iter", "max_mem")
KILLS = (8, 22)
"""Micro-batches at which a run is killed: the second of a window of three, in the first epoch and in the second."""

# One process imports everything, and forks for each run of each project.
DRIVER = f"""
    import os, signal, sys, torch, accelerate, lightning.pytorch

    def evaluate(project):
        if not (child := os.fork()):
            os.chdir(project)
            sys.path.insert(0, project)
            import evaluate
            os._exit(evaluate.main(["--run", "runs/whole", "--checkpoint", "last.pt"]))
        return os.waitpid(child, 0)[1]

    def run(project, *arguments, kill_at=None):
        if not (child := os.fork()):
            os.chdir(project)
            sys.path.insert(0, project)
            import train
            from importlib import import_module
            objective = import_module(os.path.basename(project) + ".engine.classification").Classification
            call, calls = objective.__call__, []
            def counted(self, model, batch):
                calls.append(batch)
                if len(calls) == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(self, model, batch)
            objective.__call__ = counted
            os._exit(train.main(["--config", "configs/smoke.yaml", "--run-dir", *arguments]))
        return os.waitpid(child, 0)[1]

    for project in sys.argv[1:]:
        assert run(project, "runs/whole") == 0 and evaluate(project) == 0
        for kill_at in {KILLS}:
            assert run(project, f"runs/killed-{{kill_at}}", kill_at=kill_at) == signal.SIGKILL
            assert run(project, f"runs/killed-{{kill_at}}", "--resume") == 0
        assert run(project, "runs/whole", "--resume", "--set", "train.lr=0.5") != 0
"""


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A project for each framework, made through its sandbox check, run whole and killed."""
    folder = tmp_path_factory.mktemp("frameworks")
    made = {}
    for name in NAMES:
        made[name] = folder / f"by_{name}"
        request = spec(framework=name, precision="fp32", device="cpu")
        # A failed check would raise.
        answer = asyncio.run(scaffold_project(made[name], request, validate="none" if name == "pytorch" else "smoke"))
        assert name == "pytorch" or answer.validation.passed
    command = [PYTHON, "-c", textwrap.dedent(DRIVER), *map(str, made.values())]
    done = subprocess.run(command, env=QUICK, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return made


def trace(project: Path, run: str, log: str = "metrics.jsonl") -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (project / "runs" / run / log).read_text().splitlines()]
    return [{name: value for name, value in record.items() if name not in TIMES} for record in records]


def weights(project: Path, run: str) -> dict[str, torch.Tensor]:
    state = torch.load(project / "runs" / run / "checkpoints/last.pt", weights_only=True)
    return {**state["parts"]["model"], **{f"ema.{k}": v for k, v in state["parts"]["ema"]["module"].items()}}


def test_every_framework_of_the_spec_is_here() -> None:
    assert set(get_args(ProjectSpec.model_fields["framework"].annotation)) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kill_at", KILLS)
def test_a_run_killed_within_a_window_goes_on_bit_for_bit(projects: dict[str, Path], name: str, kill_at: int) -> None:
    project, run = projects[name], f"killed-{kill_at}"
    for log in ("metrics.jsonl", "eval.jsonl"):
        assert trace(project, run, log) == trace(project, "whole", log)
    whole, resumed = weights(project, "whole"), weights(project, run)
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "pytorch"])
def test_frameworks_log_the_same_fields_and_train_to_the_same_weights(projects: dict[str, Path], name: str) -> None:
    for log in ("metrics.jsonl", "eval.jsonl"):
        for own, other in zip(
            trace(projects["pytorch"], "whole", log), trace(projects[name], "whole", log), strict=True
        ):
            assert list(own) == list(other)
            assert other == pytest.approx(own, rel=1e-4)
    own, other = weights(projects["pytorch"], "whole"), weights(projects[name], "whole")
    for key in own:
        torch.testing.assert_close(other[key], own[key], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_reads_the_checkpoints_of_every_framework(projects: dict[str, Path], name: str) -> None:
    results = json.loads((projects[name] / "runs/whole/evaluation/metrics.json").read_text())
    logged = trace(projects[name], "whole", "eval.jsonl")[-1]
    assert results["metric_accuracy"] == logged["metric_accuracy"]


@pytest.mark.parametrize("name", NAMES)
def test_a_resume_with_other_settings_is_refused_and_changes_nothing(projects: dict[str, Path], name: str) -> None:
    run = projects[name] / "runs/whole"
    assert "train.lr: 0.001 -> 0.5" in (run / "error_rank0.txt").read_text()
    assert "lr: 0.001" in (run / "config.yaml").read_text()
    assert not (run / "run-2.json").exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_project_has_nothing_of_other_frameworks(projects: dict[str, Path], name: str) -> None:
    text = "\n".join(file.read_text() for file in projects[name].rglob("*.py"))
    for other in ("accelerate", "lightning"):
        assert (f"import {other}" in text or f"from {other}" in text) == (other == name)
    metadata = (projects[name] / "pyproject.toml").read_text()
    assert [extra in metadata for extra in ("lightning>=", "accelerate>=")] == [
        name == "lightning",
        name == "accelerate",
    ]
