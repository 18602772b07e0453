"""Tests of the learning rate's schedule."""

import math

import pytest
import torch

from dlcoder.templates.components.engine.schedule import WarmupCosine


def make(warmup: int = 4, total: int = 20) -> WarmupCosine:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=99.0)
    return WarmupCosine(
        optimizer, peak=0.1, total_updates=total, warmup_updates=warmup, rest=0.01
    )


def test_every_rate_is_that_of_the_formula() -> None:
    schedule = make()
    for update in range(25):
        if update < 4:
            expected = 0.1 * (update + 1) / 4
        else:
            t = min(1, (update - 4) / 16)
            expected = 0.001 + 0.099 * (1 + math.cos(math.pi * t)) / 2
        assert schedule.lr == pytest.approx(expected)
        assert schedule.optimizer.param_groups[0]["lr"] == schedule.lr
        schedule.step()


def test_it_may_have_no_warm_up_or_nothing_else() -> None:
    assert make(warmup=0).lr == pytest.approx(0.1)
    assert make(warmup=30, total=20).lr_at(19) == pytest.approx(0.1)


def test_it_goes_on_from_its_state() -> None:
    schedule, resumed = make(), make()
    for _ in range(7):
        schedule.step()
    resumed.load_state_dict(schedule.state_dict())
    assert resumed.lr == schedule.lr == resumed.optimizer.param_groups[0]["lr"]
