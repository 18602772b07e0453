"""Tests of the crash report."""

from pathlib import Path

import pytest

from dlcoder.templates.components.utils.crash_report import crash_report


def test_a_traceback_is_written_and_the_error_passes(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), crash_report(tmp_path, rank=3):
        _ = 1 / 0
    report = (tmp_path / "error_rank3.txt").read_text()
    assert "ZeroDivisionError" in report
    assert "1 / 0" in report


def test_a_good_attempt_clears_the_report(tmp_path: Path) -> None:
    (tmp_path / "error_rank0.txt").write_text("earlier")
    with crash_report(tmp_path, rank=0):
        pass
    assert not list(tmp_path.iterdir())
