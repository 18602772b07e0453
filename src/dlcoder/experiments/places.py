"""Where runs are: folders of every layout, and files that are runs or tables of runs."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlcoder.experiments.columns import STEP_NAMES
from dlcoder.experiments.csv_logs import csv_names
from dlcoder.experiments.jsonl_logs import records

_LOGS = ("metrics.jsonl", "eval.jsonl", "log.jsonl", "metrics.csv", "history.jsonl", "progress.csv", "log.csv")
CONFIGS = (
    "config.yaml",
    "config.yml",
    "config.json",
    "config.toml",
    "hparams.yaml",
    ".hydra/config.yaml",
    "args.json",
    "files/config.yaml",
)
SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv")
ARM_COLUMNS = ("arm", "method", "model", "variant", "config", "name", "condition", "run")
_SKIPPED = {"checkpoints", "wandb", "evaluation", "__pycache__", ".git", ".venv", "venv", "node_modules", "summary"}


def places_of(path: Path) -> Iterator[Path]:
    """The folders and files that are runs (or tables of runs), in the order of their names."""
    if path.is_file():
        yield path
        return
    if _is_run(path):
        yield path
        return
    folders = sorted(child for child in path.iterdir() if _is_folder(child))
    found = False
    for child in folders:
        if child.name in _SKIPPED and not (child.name == "wandb" and not found):
            continue
        for place in places_of(child):
            found = True
            yield place
    if not found:
        yield from _other_logs(path)


def _is_folder(child: Path) -> bool:
    """Whether to look inside: not at a link to a neighbor, such as `latest-run`."""
    if not child.is_dir() or child.name.startswith("."):
        return False
    return not child.is_symlink() or child.resolve().parent != child.parent.resolve()


def _is_run(folder: Path) -> bool:
    return (
        any((folder / name).is_file() for name in (*_LOGS, "run.json", "arm.json", "trainer_state.json"))
        or (folder / "files/wandb-summary.json").is_file()
        or (folder / "wandb-summary.json").is_file()
        or next(folder.glob("run-*.wandb"), None) is not None
        or next(folder.glob("events.out.tfevents.*"), None) is not None
        or next(folder.glob("checkpoint-*/trainer_state.json"), None) is not None
        or _holds_one_run(folder)
    )


def _holds_one_run(folder: Path) -> bool:
    """Whether logs of unknown names lie beside a configuration, or a single one is no table of several runs."""
    logs = _other_logs(folder)
    if any((folder / name).is_file() for name in CONFIGS):
        return bool(logs)
    return len(logs) == 1 and not is_table(first_rows(logs[0]))


def _other_logs(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.suffix in SUFFIXES and child.is_file())


def logs_of(folder: Path) -> list[Path]:
    """The logs of a run: those of usual names, else all."""
    usual = [folder / name for name in _LOGS if (folder / name).is_file()]
    return usual or _other_logs(folder)


def first_rows(path: Path) -> list[dict[str, Any]]:
    """The first records of a log; of CSV only the names."""
    if path.suffix in (".csv", ".tsv"):
        return [dict.fromkeys(csv_names(path))]
    with path.open("rb") as file:
        return list(records(b"".join(itertools.islice(file, 5))))


def is_table(rows: list[dict[str, Any]]) -> bool:
    """Whether the rows are runs, not steps of one."""
    if not rows or not rows[0]:
        return False
    names = {name.lower() for name in rows[0]}
    return bool(names & {"seed", *ARM_COLUMNS}) or not names & set(STEP_NAMES)
