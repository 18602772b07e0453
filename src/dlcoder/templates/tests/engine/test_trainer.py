"""Tests of a run's position. The loop itself is tested by training."""

from dlcoder.templates.components.engine.trainer import Position


def test_a_position_comes_back() -> None:
    position = Position(step=12, epoch=3, batch=4, best=0.5)
    restored = Position()
    restored.load_state_dict(position.state_dict())
    assert restored == position
