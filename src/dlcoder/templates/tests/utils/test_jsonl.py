"""Tests of the log."""

import json
from pathlib import Path

from dlcoder.templates.components.utils.jsonl import JsonlLog


def test_records_come_back(tmp_path: Path) -> None:
    log = JsonlLog(tmp_path / "log.jsonl")
    log.write({"step": 1, "loss": 0.5})
    log.write({"step": 2, "loss": float("nan")})
    assert log.read() == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": None}]


def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "lo')
    log = JsonlLog(path)
    assert log.read() == [{"step": 1}]
    log.rewind(lambda record: True)
    log.write({"step": 2})
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [
        1,
        2,
    ]


def test_it_rewinds(tmp_path: Path) -> None:
    log = JsonlLog(tmp_path / "log.jsonl")
    for step in range(5):
        log.write({"step": step})
    log.rewind(lambda record: record["step"] < 2)
    assert log.read() == [{"step": 0}, {"step": 1}]


def test_other_ranks_write_nothing(tmp_path: Path) -> None:
    JsonlLog(tmp_path / "log.jsonl", enabled=False).write({"step": 1})
    assert not list(tmp_path.iterdir())
