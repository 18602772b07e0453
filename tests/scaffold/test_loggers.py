"""Loggers beside the files: they show the same numbers, and leave no trace where nobody asked for them."""

import json
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
from projects import PYTHON, QUICK, choices, write_project
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dlcoder.scaffold.loggers import LOGGERS
from dlcoder.scaffold.plan import plan
from dlcoder.scaffold.render import render
from dlcoder.scaffold.spec import ProjectSpec


def test_every_logger_of_the_spec_is_here_and_twice_is_once() -> None:
    (item,) = get_args(ProjectSpec.model_fields["loggers"].annotation)
    assert set(get_args(item)) == set(LOGGERS)
    assert choices(loggers=["wandb", "wandb"]).loggers == ("wandb",)


@pytest.mark.parametrize("framework", ["pytorch", "lightning", "accelerate"])
@pytest.mark.parametrize("name", LOGGERS)
def test_a_project_has_its_loggers_and_nothing_of_others(framework: str, name: str) -> None:
    files = render(plan(choices(framework=framework, loggers=[name])))
    text = "\n".join(files.values())
    (other,) = set(LOGGERS) - {name}
    assert f'{name} = ["{LOGGERS[name].requires}"]' in files["pyproject.toml"]
    assert f"`{LOGGERS[name].folder}`" in files["README.md"]
    assert f"waves/utils/{name}_log.py" in files and f"tests/test_{name}_log.py" in files
    assert other not in text.lower()
    assert "Log, Log" not in "\n".join(render(plan(choices(framework=framework))).values())


def test_curves_show_what_the_files_hold(tmp_path: Path) -> None:
    project = write_project(tmp_path / "curves", loggers=["wandb", "tensorboard"], device="cpu")
    command = [PYTHON, "train.py", "--config", "configs/smoke.yaml", "--run-dir", "runs/a b"]
    subprocess.run(command, cwd=project, env=QUICK, check=True, timeout=120, capture_output=True)
    run = project / "runs/a b"
    for log, folder, names in (("metrics", "train", ["loss_total", "lr"]), ("eval", "eval", ["metric_accuracy"])):
        curves = EventAccumulator(str(run / "tensorboard" / folder)).Reload()
        for name in names:
            shown = [(event.step, event.value) for event in curves.Scalars(name)]
            kept = [(record["step"], pytest.approx(record[name])) for record in records(run / f"{log}.jsonl")]
            assert shown == kept
    assert list(run.glob("wandb/offline-run-*-a-b/*.wandb"))


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
