"""Every arm is tuned alike, by workers that may be many, die and come again."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from dlcoder import cli
from dlcoder.experiments.goal import Goal
from dlcoder.experiments.planfiles import write_plan
from dlcoder.experiments.planning import make_plan

TRIALS = 6
TRAIN = """
import json, math, pathlib, sys, time
settings = dict(word.split("=") for word in sys.argv[2:])
folder = pathlib.Path(sys.argv[1])
with (folder / "starts.txt").open("a") as file:
    file.write("x")
time.sleep(0.15)
lr = float(settings["lr"])
best = -2 if settings.get("ema") == "true" else -3
if lr > 0.5:
    sys.exit("diverged")
acc = 1 - abs(math.log10(lr) - best) / 10 + int(settings["seed"]) * 1e-5
(folder / "metrics.jsonl").write_text(json.dumps({"step": 1, "val_acc": acc}) + "\\n")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(TRAIN)
    goal: dict[str, Any] = {
        "question": "Does EMA help?",
        "task": "classification",
        "data": "digits",
        "metric": "val_acc",
        "baseline": f"python {tmp_path / 'train.py'} {{run_dir}} {{overrides}} seed={{seed}}",
        "factors": {"ema": [False, True]},
        "tune": {"lr": [1e-5, 1.0]},
        "settings": {"lr": 0.1},
        "trials": TRIALS,
        "seeds": 2,
    }
    write_plan(make_plan(Goal.model_validate(goal)), tmp_path / "plan")
    return tmp_path / "plan"


def studies(folder: Path) -> list[optuna.Study]:
    storage = JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    return [optuna.load_study(study_name=f"arm{index}", storage=storage) for index in range(2)]


def begun(folder: Path) -> int:
    return len(list(folder.glob("search/*/*/starts.txt")))


def test_a_search_that_is_killed_goes_on_with_several_workers_and_gives_every_arm_as_many_trials(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["plan", "run", str(folder)]) == 2 and "not tuned yet" in capsys.readouterr().err
    command = [sys.executable, "-m", "dlcoder", "plan", "search", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while begun(folder) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    # The plan's own copy of the study is a worker like any other.
    others = [
        subprocess.Popen(words, stdout=subprocess.DEVNULL) for words in (command, [sys.executable, folder / "study.py"])
    ]
    assert [other.wait(300) for other in others] == [0, 0]

    tuned = json.loads((folder / "tuned.json").read_text())
    for study, arm in zip(studies(folder), ("control", "ema=True"), strict=True):
        counted = [trial for trial in study.trials if not trial.user_attrs.get("lost")]
        assert len(counted) == TRIALS and not [trial for trial in counted if not trial.state.is_finished()]
        assert counted[0].params == {"lr": 0.1} and study.user_attrs["arm"] == arm
        assert tuned[arm] == study.best_params
    starts = [path.read_text() for path in folder.glob("search/*/*/starts.txt")]
    assert len(starts) == 2 * TRIALS and sum(map(len, starts)) <= 2 * TRIALS + 1, "a lost trial has its folder again"

    assert cli.main(["plan", "run", str(folder)]) == 0
    record = json.loads((folder / "runs" / "arm1-seed1" / "arm.json").read_text())
    assert f"lr={tuned['ema=True']['lr']}" in record["argv"] and record["changes"] == {"ema": True}
    filled = (folder / "results.csv").read_text().splitlines()
    assert len(filled) == 5 and all(line.split(",")[2] == "finished" and line.split(",")[3] for line in filled[1:])
