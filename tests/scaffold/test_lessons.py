"""Projects learn: the lessons that take seconds, one of each kind of training. All of them: `matrix.py`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lessons import LESSONS, learned
from warm import Warm

QUICK_ONES = ("classification", "tabular", "text", "dino", "gan")


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    process = Warm()
    yield process
    process.close()


@pytest.mark.parametrize("name", QUICK_ONES)
def test_a_project_learns_from_a_signal_and_not_without_it(name: str, tmp_path: Path, warm: Warm) -> None:
    lesson = LESSONS[name]
    signal, control = learned(lesson, tmp_path / "waves", warm)
    assert lesson.passed(signal.metric)
    assert not lesson.passed(control.metric)
