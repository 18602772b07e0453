"""Tests of the profiler."""

import json
from pathlib import Path

import torch

from dlcoder.templates.components.utils.profiler import StepProfiler


def run(folder: Path, *, profiled: int, steps: int) -> StepProfiler:
    weight = torch.ones(64, 64)
    with StepProfiler(folder, steps=profiled, wait=2) as profiler:
        for _ in range(steps):
            weight = torch.mm(weight, weight) / 64
            profiler.step()
    return profiler


def test_the_steps_that_were_asked_for_are_in_table_and_timeline(
    tmp_path: Path,
) -> None:
    run(tmp_path / "profile", profiled=3, steps=20)
    row = next(
        line
        for line in (tmp_path / "profile/profile.txt").read_text().splitlines()
        if line.split()[:1] == ["aten::mm"]
    )
    assert row.split()[-1] == "3", "calls"
    events = json.loads((tmp_path / "profile/trace.json").read_text())["traceEvents"]
    assert sum(event.get("name") == "aten::mm" for event in events) == 3


def test_a_loop_that_ends_early_leaves_what_there_was(tmp_path: Path) -> None:
    run(tmp_path, profiled=100, steps=6)
    assert "aten::mm" in (tmp_path / "profile.txt").read_text()


def test_nothing_is_profiled_unless_asked_for(tmp_path: Path) -> None:
    assert run(tmp_path, profiled=0, steps=20).profile is None
    assert not list(tmp_path.iterdir())
