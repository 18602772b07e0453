"""The Optuna study of a plan: every arm gets as many trials as the others, on a seed that is not compared.

`dlcoder plan search DIR`, or `python study.py` in the plan's folder, is one worker. Start as many as there are GPUs, on
any machine that sees the folder: they share `study.journal`. A trial whose worker was killed is begun again by the
next one, in its folder, so that training goes on from its checkpoint.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from dlcoder.errors import UserError
from dlcoder.experiments.baseline import Baseline
from dlcoder.experiments.launch import claimed, launched, run_to_end, stoppable
from dlcoder.experiments.summary import value_of
from dlcoder.terminal.live import LiveLine

SEED = 10_000
"""Of every trial: none of those that are compared."""
_BEGINNING_S = 60.0
_FOLDER, _LOST = "folder", "lost"


def main(argv: Sequence[str]) -> int:
    """Search until every arm has its trials: 0 if all arms have a best one."""
    parser = argparse.ArgumentParser(prog="dlcoder plan search", description="Tune every arm of a plan alike.")
    parser.add_argument("folder", type=Path, help="the folder that plan_experiment wrote")
    parser.add_argument("--cwd", type=Path, help="where to start the commands; default: where the plan was made")
    options = parser.parse_args(argv)
    return stoppable(lambda: search(options.folder.resolve(), options.cwd), "plan search")


def search(folder: Path, cwd: Path | None = None) -> int:
    """Work on all arms in turn, then write the best settings of each to tuned.json.

    Raises:
        UserError: The plan tunes nothing.
    """
    try:
        plan = json.loads((folder / "plan.json").read_text())
        spec = plan["search"]
    except (OSError, ValueError, KeyError):
        raise UserError(f"{str(folder)!r} holds no plan that tunes.", "Make one with tune and path set.") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    live, studies = LiveLine(), []
    for index, arm in enumerate(spec["arms"]):
        study = optuna.create_study(
            storage=storage, study_name=f"arm{index}", direction=spec["direction"], load_if_exists=True
        )
        study.set_user_attr("arm", arm["name"])
        studies.append(study)
        while trial := _next(study, spec, folder):
            live(f"{arm['name']}: trial {trial.number + 1} of {spec['trials']}", _share(study, index, spec))
            _try(study, trial, spec, arm, folder, cwd or Path(plan["cwd"]))
    live.clear()
    if any(map(_busy, studies)):
        print("Other workers are still at their last trials; the last of them writes tuned.json.")
        return 0
    return _finish(folder, {study.user_attrs["arm"]: _best(study, spec) for study in studies})


def _busy(study: optuna.Study) -> bool:
    return any(not trial.user_attrs.get(_LOST) for trial in study.get_trials(states=(TrialState.RUNNING,)))


def _finish(folder: Path, tuned: dict[str, dict[str, Any]]) -> int:
    partial = folder / f"tuned.{os.getpid()}.partial"
    partial.write_text(json.dumps(tuned, indent=1) + "\n")
    partial.replace(folder / "tuned.json")
    bad = [name for name, params in tuned.items() if not params]
    print(f"Tuned {len(tuned) - len(bad)} of {len(tuned)} arms: tuned.json. Next: dlcoder plan run {folder}")
    if bad:
        print(f"No trial of {', '.join(bad)} has come to its end; see output.txt below {folder / 'search'}.")
    return int(bool(bad))


def _share(study: optuna.Study, index: int, spec: dict[str, Any]) -> float:
    return float((index + min(len(study.trials) / spec["trials"], 1)) / len(spec["arms"]))


def _counted(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that use up the budget: a lost one is done again by another."""
    trials = study.get_trials(deepcopy=False)
    return [trial for trial in trials if not trial.user_attrs.get(_LOST) and trial.state != TrialState.WAITING]


def _next(study: optuna.Study, spec: dict[str, Any], folder: Path) -> optuna.Trial | None:
    """A trial to run; None once there are enough."""
    _recover(study, folder)
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    if not waiting and len(_counted(study)) >= spec["trials"]:
        return None
    if not study.get_trials(deepcopy=False) and spec["start"].keys() == spec["space"].keys():
        study.enqueue_trial(spec["start"])  # so that no arm comes out worse than its start
    # Workers that sample from the same history must not draw the same.
    study.sampler = optuna.samplers.TPESampler(seed=len(study.trials) + os.getpid() % 997 * 1000, constant_liar=True)
    return study.ask()


def _recover(study: optuna.Study, folder: Path) -> None:
    """Give the settings and folders of trials whose workers are gone to new trials."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        own = _place(study, trial, folder)
        with claimed(own) as claim:
            # One that has no settings yet is just being begun, or its worker was killed at that very moment.
            if claim is not None and (trial.params or _age(trial) > _BEGINNING_S):
                study._storage.set_trial_user_attr(trial._trial_id, _LOST, True)
                study.tell(trial.number, state=TrialState.FAIL)
                study.enqueue_trial(trial.params, user_attrs={_FOLDER: own.name})


def _age(trial: FrozenTrial) -> float:
    return (datetime.now() - trial.datetime_start).total_seconds() if trial.datetime_start else 0.0


def _place(study: optuna.Study, trial: Any, folder: Path) -> Path:
    return folder / "search" / study.study_name / str(trial.user_attrs.get(_FOLDER, f"trial{trial.number}"))


def _try(
    study: optuna.Study, trial: optuna.Trial, spec: dict[str, Any], arm: dict[str, Any], folder: Path, cwd: Path
) -> None:
    own = _place(study, trial, folder)
    with claimed(own) as claim:
        if claim is None:
            return
        settings = {**arm["changes"], **{name: _suggest(trial, name, spec) for name in spec["space"]}}
        config = own / "settings.json"
        config.write_text(json.dumps({**settings, "seed": SEED}, indent=1) + "\n")
        places = {"seed": str(SEED), "run_dir": str(own), "config": str(config)}
        argv = launched(Baseline(spec["command"], cwd).words(settings, places), spec["gpus"])
        status = run_to_end(argv, cwd, own / "output.txt", claim)
        value = None if status else value_of(own, spec["metric"])
        if value is None or not math.isfinite(value):
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, value)


def _suggest(trial: optuna.Trial, name: str, spec: dict[str, Any]) -> int | float:
    low, high, scale = spec["space"][name]
    if name in spec["whole"]:
        return trial.suggest_int(name, int(low), int(high), log=scale == "log")
    return trial.suggest_float(name, low, high, log=scale == "log")


def _best(study: optuna.Study, spec: dict[str, Any]) -> dict[str, Any]:
    """The settings of the best trial, of as many as every arm has; empty if none has come to its end."""
    counted = _counted(study)[: spec["trials"]]
    done = [trial for trial in counted if trial.state == TrialState.COMPLETE and trial.value is not None]
    pick = min if spec["direction"] == "minimize" else max
    return dict(pick(done, key=lambda trial: trial.value or 0.0).params) if done else {}


if __name__ == "__main__":
    raise SystemExit(main([str(Path(__file__).parent), *sys.argv[1:]]))
