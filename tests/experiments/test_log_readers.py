"""Fast readers of long logs give what the plain ones give, whatever stands in the log."""

import json
import math
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from dlcoder.experiments import csv_logs, jsonl_logs
from dlcoder.experiments.columns import Columns, columns_of
from dlcoder.experiments.event_files import event_columns
from dlcoder.experiments.summary import summarize

LINES = 4000
WANTED = frozenset({"step", "epoch", "loss", "acc", "note", "eval.acc"})


def rows() -> list[dict[str, Any]]:
    draw = random.Random(0)
    made = [{"step": s, "epoch": s // 100, "loss": draw.gauss(0, 1e3), "lr": 1e-3, "pad": 0.5} for s in range(LINES)]
    for row in made[99::100]:
        row["acc"] = draw.random()
    return made


RECORDS: dict[str, dict[int, dict[str, Any]]] = {
    "plain": {},
    "null": {7: {"loss": None}},
    "not finite": {7: {"loss": math.nan}, 8: {"loss": math.inf}, 9: {"acc": -math.inf}},
    "whole numbers": {7: {"loss": 3}, 8: {"loss": 10**17 + 1}},
    "texts": {7: {"note": 'a "quoted" NaN, {'}, 8: {"loss": "0.25"}},
    "booleans": {7: {"loss": True}},
    "nested": {7: {"eval": {"acc": 0.5}}},
    "a step missing": {7: {"step": None}},
}
LINES_CHANGED: dict[str, Callable[[str], str]] = {
    "no steps": lambda text: re.sub(r'"(step|epoch)": \d+, ', "", text),
    "a name twice": lambda text: text.replace("}\n", ', "loss": 1.5}\n'),
    "cut off": lambda text: text[:-20],
    "other lines": lambda text: text.replace("\n", "\nEpoch done\n", 3),
    "blank lines": lambda text: text.replace("\n", "\n\n", 3),
}


def log(name: str) -> str:
    made = rows()
    for place, changes in RECORDS.get(name, {}).items():
        made[place] |= changes
    text = "".join(json.dumps(row) + "\n" for row in made)
    return LINES_CHANGED.get(name, str)(text)


def equal(found: Columns, expected: Columns) -> bool:
    return found.keys() == expected.keys() and all(
        list(map(repr, map(float, a))) == list(map(repr, map(float, b)))
        for name in found
        for a, b in zip(found[name], expected[name], strict=True)
    )


def bare(columns: Columns) -> Columns:
    """Infinite values are not numbers either: JSON has one word, null, for all of them."""
    return {n: (s, [v if math.isfinite(v) else math.nan for v in values]) for n, (s, values) in columns.items()}


@pytest.mark.parametrize("name", [*RECORDS, *LINES_CHANGED])
def test_long_jsonl_logs_are_read_as_short_ones_are(name: str, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(log(name))
    expected = {key: value for key, value in columns_of(jsonl_logs.read_jsonl(path)).items() if key in WANTED}
    assert equal(bare(jsonl_logs.jsonl_columns(path, WANTED)), bare(expected)) and len(expected) >= 1
    assert {"loss", "step"} - {"step" if name == "no steps" else ""} <= jsonl_logs.jsonl_names(path)


@pytest.mark.parametrize("change", ["", "nan", "quote", "short line", "crlf", "cut off", "blank step"])
def test_long_csv_logs_are_read_as_short_ones_are(change: str, tmp_path: Path) -> None:
    lines = [f"{row['step']},{row['loss']!r},x,{row.get('acc', '')}" for row in rows()] * 2
    match change:
        case "nan":
            lines[5], lines[6] = "5,nan,x,", "6,-inf,x,"
        case "quote":
            lines[5] = '5,0.5,"a, b",'
        case "short line":
            lines[5], lines[6] = "5,0.5", "6,0.5,x,,"
        case "blank step":
            lines[5] = ",0.5,x,"
    text = "\n".join(["step,loss,note,acc", *lines])
    path = tmp_path / "log.csv"
    path.write_bytes(
        (text.replace("\n", "\r\n") if change == "crlf" else text[: -3 if change == "cut off" else None]).encode()
    )
    expected = {key: value for key, value in columns_of(csv_logs.read_csv(path)).items() if key in WANTED}
    assert path.stat().st_size > 200_000
    assert equal(csv_logs.csv_columns(path, WANTED), expected)


def test_event_files_with_scalars_of_every_kind_are_read(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        for step in (0, 1, 127, 128, 20_000, 3_000_000):
            writer.add_scalar("loss", step / 8, step)
            writer.add_scalar("new", step / 4, step, new_style=True)
            writer.add_scalars("both", {"a": step / 2}, step)
            writer.add_text("note", "loss", step)
            writer.add_histogram("weights", np.arange(5), step)
        writer.add_scalar("loss", math.nan, 4)
    found = event_columns(tmp_path.glob("events.*"))
    steps = [0, 1, 127, 128, 20_000, 3_000_000]
    assert found["loss"][0] == [*steps, 4] and found["loss"][1][:-1] == [step / 8 for step in steps]
    assert math.isnan(found["loss"][1][-1]) and found["new"] == (steps, [step / 4 for step in steps])


def test_a_metric_that_only_some_runs_logged_is_still_found(tmp_path: Path) -> None:
    for index in range(12):
        name = "rare" if index == 7 else "loss"
        text = "".join(json.dumps({"step": s, "loss": 1.0, name: float(s)}) + "\n" for s in range(6000))
        (tmp_path / f"a_s{index}").mkdir()
        (tmp_path / f"a_s{index}" / "metrics.jsonl").write_text(text)
    assert list(summarize([tmp_path], None, "rare").rows[0].values.values()) == [5999.0]
