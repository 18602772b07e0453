"""Tests of the position in a run."""

import math

from dlcoder.templates.components.engine.position import Position


def test_an_epoch_ends_with_the_best_value_so_far() -> None:
    position = Position(step=7, batch=9)
    assert position.finish_epoch(0.5)
    assert not position.finish_epoch(0.4)
    assert position == Position(step=7, epoch=2, batch=0, best=0.5)


def test_any_number_is_better_than_none() -> None:
    position = Position()
    assert position.finish_epoch(math.nan)
    assert position.finish_epoch(-7.0)
    assert not position.finish_epoch(math.nan)
    assert position.best == -7.0


def test_a_position_goes_on_from_its_state() -> None:
    position = Position(step=3, epoch=1, batch=2, best=0.1)
    other = Position()
    other.load_state_dict(position.state_dict())
    assert other == position
