"""Folders and files of any training program, read into runs."""

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dlcoder.errors import UserError
from dlcoder.experiments.columns import STEP_NAMES, Columns, columns_of, number
from dlcoder.experiments.csv_logs import csv_columns, csv_names, read_csv
from dlcoder.experiments.event_files import event_columns
from dlcoder.experiments.jsonl_logs import jsonl_columns, jsonl_names, read_jsonl
from dlcoder.experiments.places import ARM_COLUMNS, CONFIGS, SUFFIXES, first_rows, is_table, logs_of, places_of
from dlcoder.experiments.runs import Run, flatten, series_of
from dlcoder.experiments.wandb_files import read_wandb
from dlcoder.progress import Progress, silent
from dlcoder.text import clean

_EVALUATION = re.compile(r"(eval|val|valid|validation|test)(_?(log|metrics|history))?", re.IGNORECASE)
_SEED = re.compile(r"(?:^|[._/-])seed$", re.IGNORECASE)
_SEED_IN_NAME = re.compile(r"(?:^|[-_/ ])(?:seed|s)[-_=]?(\d+)(?=$|[-_/ ])", re.IGNORECASE)
_TIME = ("time_iter", "step_time", "iter_time", "train/step_time")
_MEMORY = ("max_mem", "peak_memory_mb", "max_memory_mb", "gpu_memory_mb", "memory_mb")


def read_runs(paths: Sequence[Path], wanted: Callable[[set[str]], set[str]], progress: Progress = silent) -> list[Run]:
    """Read every run below `paths`.

    Args:
        paths: Folders and files.
        wanted: Chooses, of all logged names, those to read in long logs.
        progress: Told after each run.

    Raises:
        UserError: A path does not exist, or there is no run.
    """
    for path in paths:
        if not path.exists():
            raise UserError(f"{str(path)!r} does not exist.", "Give folders of runs, or their log files.")
    places = [place for path in paths for place in places_of(path)]
    if not places:
        raise UserError(
            f"There is no run in {', '.join(map(str, paths))}.",
            "Give folders that hold metrics.jsonl, metrics.csv, trainer_state.json, TensorBoard events or W&B runs.",
        )
    base = _common([place if place.is_dir() else place.parent for place in places])
    logged = _logged(places)
    names = frozenset({*wanted(logged), *logged.intersection((*STEP_NAMES, *_TIME, *_MEMORY))})
    runs: list[Run] = []
    for index, place in enumerate(places):
        runs += _read(place, _short(place, base), names)
        progress(f"Read {index + 1} of {len(places)} runs", (index + 1) / len(places))
    return runs


def _common(folders: list[Path]) -> Path:
    base = folders[0]
    while not all(folder.is_relative_to(base) for folder in folders):
        base = base.parent
    return base.parent if base in folders and len(set(folders)) == 1 else base


def _short(place: Path, base: Path) -> str:
    name = place.relative_to(base) if place.is_relative_to(base) else place
    return clean(str(name), 120)


def _logged(places: list[Path]) -> set[str]:
    """Names that logs carry, from all lines of some runs: evaluations come every so many steps."""
    names: set[str] = set()
    for place in places[:: max(1, len(places) // 5)]:
        for file in [place] if place.is_file() else logs_of(place):
            if file.suffix in (".csv", ".tsv"):
                names |= csv_names(file)
            elif file.suffix in SUFFIXES:
                names |= jsonl_names(file)
    return names


def _read(place: Path, name: str, wanted: frozenset[str]) -> list[Run]:
    if place.is_file():
        return _read_file(place, name, wanted)
    run = Run(name=name, source="log")
    columns = _folder_columns(place, run, wanted)
    _configure(place, run, logged=bool(columns))
    _take(run, columns)
    _judge(place, run)
    return [run]


def _read_file(path: Path, name: str, wanted: frozenset[str]) -> list[Run]:
    if path.name == "trainer_state.json":
        run = Run(name=name, source="Hugging Face Trainer")
        _take(run, _trainer_state(path))
        return [run]
    if path.suffix == ".wandb":
        run = Run(name=name, source="Weights & Biases")
        _take(run, _wandb([path], run))
        _seed_from_config(run)
        return [run]
    if ".tfevents." in path.name:
        run = Run(name=name, source="TensorBoard")
        _take(run, event_columns([path]))
        return [run]
    if path.suffix not in (*SUFFIXES, ".json"):
        raise UserError(
            f"{path.name!r} is no log of a known kind.", "Give JSONL, CSV, TensorBoard events or folders of runs."
        )
    if is_table(first_rows(path)):
        rows = read_csv(path) if path.suffix in (".csv", ".tsv") else read_jsonl(path)
        return [_row_run(row, f"{name}:{index + 1}") for index, row in enumerate(rows)]
    run = Run(name=name, source=path.suffix.lstrip(".").upper())
    _take(run, (csv_columns if path.suffix in (".csv", ".tsv") else jsonl_columns)(path, wanted))
    _seed_from_name(run)
    return [run]


def _row_run(row: dict[str, Any], name: str) -> Run:
    run = Run(name=name, source="table")
    lowered = {key.lower(): key for key in row}
    arm = next((lowered[column] for column in ARM_COLUMNS if column in lowered), None)
    for key, value in row.items():
        parsed = number(value)
        if key == arm:
            run.arm = clean(str(value), 80)
        elif _SEED.search(key):
            run.seed = _plain(value)
        elif key.lower() == "status":
            failed = str(value).lower() in ("crashed", "failed", "error", "killed", "oom")
            run.status = "crashed" if failed else "finished"
            run.why = f"status {clean(str(value), 40)}" if failed else ""
        elif parsed is not None and not (value == "" or value is None):
            if math.isfinite(parsed):
                run.results[key] = parsed
            else:
                run.status, run.why = "diverged", f"{key} is {value}"
        elif value not in ("", None):
            run.config[key] = value
    return run


def _folder_columns(folder: Path, run: Run, wanted: frozenset[str]) -> Columns:
    columns: Columns = {}
    for file in logs_of(folder):
        new = (csv_columns if file.suffix in (".csv", ".tsv") else jsonl_columns)(file, wanted)
        # The same quantity over the validation set must not mix with that of training batches.
        if _EVALUATION.fullmatch(file.stem):
            new = {f"eval/{key}": value for key, value in new.items()}
        columns.update(new)
    if (folder / "hparams.yaml").is_file():
        run.source = "Lightning"
    states = [folder / "trainer_state.json", *folder.glob("checkpoint-*/trainer_state.json")]
    states = [state for state in states if state.is_file()]
    if states:
        run.source = "Hugging Face Trainer"
        columns.update(_trainer_state(max(states, key=_global_step)))
    events = list(folder.glob("events.out.tfevents.*"))
    if events and not columns:
        run.source = "TensorBoard"
        columns.update(event_columns(events))
    logs = sorted(folder.glob("run-*.wandb"))
    if logs:
        columns.update(_wandb(logs, run))
    for summary in (folder / "files/wandb-summary.json", folder / "wandb-summary.json"):
        if summary.is_file():
            run.source = "Weights & Biases"
            _take_summary(run, _json(summary), columns)
    return columns


def _wandb(logs: list[Path], run: Run) -> Columns:
    """What the files of an offline run tell; there are several where it was resumed."""
    run.source, run.starts = "Weights & Biases", len(logs)
    parts = [read_wandb(log) for log in logs]
    columns = columns_of(row for part in parts for row in part.history)
    for part in parts:
        run.config |= flatten({name: value for name, value in part.config.items() if name != "_wandb"})
        _take_summary(run, part.summary, columns)
    code = parts[-1].exit_code
    if code != 0:
        run.status, run.why = ("unfinished", "it never ended") if code is None else ("crashed", f"exit status {code}")
    runtime = columns.get("_runtime")
    run.hours = runtime[1][-1] / 3600 if runtime else run.hours
    return {name: column for name, column in columns.items() if not name.startswith("_")}


def _take_summary(run: Run, summary: dict[str, Any], columns: Columns) -> None:
    """Take last values of what has no history."""
    values = {key: number(value) for key, value in summary.items() if key not in columns}
    run.results |= {k: v for k, v in values.items() if v is not None and math.isfinite(v) and k[0] != "_"}
    runtime = number(summary.get("_runtime"))
    if runtime is not None and math.isfinite(runtime):
        run.hours = runtime / 3600


def _global_step(state: Path) -> float:
    return number(_json(state).get("global_step")) or 0.0


def _trainer_state(path: Path) -> Columns:
    history = _json(path).get("log_history")
    return columns_of(row for row in history if isinstance(row, dict)) if isinstance(history, list) else {}


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _configure(folder: Path, run: Run, *, logged: bool) -> None:
    for name in CONFIGS:
        if (folder / name).is_file():
            run.config = flatten(_settings(folder / name))
            break
    record = _json(folder / "run.json")
    if record:
        run.source = "dlcoder project" if run.source == "log" else run.source
        found = record.get("git")
        git = found if isinstance(found, dict) else {}
        run.facts = {
            "commit": str(git.get("commit") or ""),
            "data": json.dumps(record.get("data"), sort_keys=True) if record.get("data") else "",
            "torch": str(record.get("packages", {}).get("torch", "")),
            "GPUs": ", ".join(record.get("gpus") or []),
        }
        run.gpus = len(record.get("gpus") or [])
        run.starts = max(1, len(list(folder.glob("run*.json"))))
        run.config.setdefault("seed", record.get("seed")) if record.get("seed") is not None else None
    plan = _json(folder / "arm.json")
    if plan:
        run.arm, run.control = str(plan.get("arm")), bool(plan.get("control"))
        run.seed = plan.get("seed")
        run.changes = plan["changes"] if isinstance(plan.get("changes"), dict) else None
        run.starts = max(run.starts, int(plan.get("starts") or 1))
        run.hours = float(plan["hours"]) if isinstance(plan.get("hours"), int | float) else run.hours
        status = plan.get("status")
        if status in ("failed", "running"):
            run.status = "crashed" if status == "failed" else "unfinished"
            run.why = f"exit status {plan.get('exit_status')}" if status == "failed" else "it never ended"
        elif status == "planned" and not logged:
            run.status, run.why = "unfinished", "it was never started"
    if run.seed is None:
        _seed_from_config(run)
    if run.seed is None:
        _seed_from_name(run)


def _seed_from_config(run: Run) -> None:
    run.seed = next((_plain(value) for key, value in run.config.items() if _SEED.search(key)), None)


def _seed_from_name(run: Run) -> None:
    found = _SEED_IN_NAME.search(re.sub(r"\.\w+$", "", run.name))
    run.seed = int(found[1]) if found else None


def _plain(value: Any) -> int | str | None:
    if isinstance(value, str) and re.fullmatch(r"\d+(\.0)?", value):
        return int(float(value))
    return value if isinstance(value, int | str) else None if value is None else str(value)


def _settings(path: Path) -> Any:
    if path.suffix == ".json":
        return _json(path)
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix == ".toml":
        import tomllib

        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            return {}
    import yaml

    try:
        return yaml.safe_load(text) or {}
    except yaml.YAMLError:
        return {}


def _take(run: Run, columns: Columns) -> None:
    run.series = {name: series_of(steps, values) for name, (steps, values) in columns.items()}
    for name in _TIME:
        if name in run.series and run.hours is None:
            run.hours = run.series[name].total / 3600
    memory = [run.series[name].high for name in _MEMORY if name in run.series]
    run.memory_mb = max((value for value in memory if not math.isnan(value)), default=None)
    for name in (*_TIME, *_MEMORY):
        run.series.pop(name, None)
    if "train_runtime" in run.series and run.hours is None:
        run.hours = run.series["train_runtime"].last / 3600


def _judge(folder: Path, run: Run) -> None:
    errors = sorted(folder.glob("error_rank*.txt"))
    if errors:
        last = (errors[0].read_text(errors="replace").strip().splitlines() or [""])[-1]
        run.status, run.why = "crashed", f"{errors[0].name}: {clean(last, 120)}"
    for name, series in run.series.items():
        if "loss" in name.lower() and (series.ends_bad or (series.bad and run.status == "crashed")):
            run.status, run.why = "diverged", f"{name} is not finite from step {series.first_bad:g}"
            return
        grew = series.count >= 20 and series.last > 10 * max(abs(series.first), 1e-9)
        if "loss" in name.lower() and "eval" not in name and grew:
            run.status, run.why = "diverged", f"{name} rose from {series.first:.4g} to {series.last:.4g}"
            return
