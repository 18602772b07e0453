"""Tests of the progress line."""

import pytest

from dlcoder.templates.components.utils.progress import ProgressLine

STEP = {"epoch": 0, "step": 5, "time_iter": 2.0, "loss_total": 1.5, "lr": 0.1}


def test_it_shows_loss_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    progress = ProgressLine(total_steps=95)
    progress.show({**STEP, "grad_norm": 1.0})
    progress.show({**STEP, "grad_norm": 1.0})
    shown = capsys.readouterr().err
    assert "step 5/95" in shown
    assert "loss 1.5000" in shown
    assert "0:03:00 left" in shown
    assert shown.count("step 5/95") == 1, "a step right after is not shown"


def test_evaluations_are_always_shown(capsys: pytest.CaptureFixture[str]) -> None:
    progress = ProgressLine()
    for epoch in range(2):
        progress.finish({"epoch": epoch, "step": 1, "metric_accuracy": 0.25})
    assert capsys.readouterr().err.count("accuracy 0.2500") == 2


def test_other_ranks_show_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    ProgressLine(enabled=False).show({**STEP, "grad_norm": 1.0})
    assert capsys.readouterr().err == ""
