"""Tests of the learning rate's schedule."""

import math
from itertools import pairwise

import pytest
import torch

from dlcoder.templates.components.engine.schedule import WarmupSchedule


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=99.0)


def make(warmup: int = 10, total: int = 110) -> WarmupSchedule:
    return WarmupSchedule(
        optimizer(), peak=0.1, total_updates=total, warmup_updates=warmup
    )


def test_it_rises_in_a_straight_line_to_the_peak_and_not_again() -> None:
    schedule = make()
    rates = [schedule.lr_at(update) for update in range(150)]
    assert rates[:10] == pytest.approx([0.01 * n for n in range(1, 11)])
    assert rates[10] == pytest.approx(0.1, rel=0.06)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(rates[9:]))


def test_it_may_have_no_warm_up_or_nothing_else() -> None:
    assert make(warmup=0).lr == pytest.approx(0.1)
    assert make(warmup=30, total=20).lr_at(19) == pytest.approx(0.1)


def test_it_sets_every_step_s_rate_and_goes_on_from_its_state() -> None:
    schedule, resumed = make(), make()
    for update in range(37):
        assert schedule.optimizer.param_groups[0]["lr"] == schedule.lr_at(update)
        schedule.step()
    resumed.load_state_dict(schedule.state_dict())
    assert resumed.lr == schedule.lr == resumed.optimizer.param_groups[0]["lr"]


def test_a_cosine_falls_to_the_rest() -> None:
    schedule = WarmupSchedule(
        optimizer(),
        peak=0.1,
        total_updates=20,
        warmup_updates=4,
        form="cosine",
        rest=0.1,
    )
    for update in range(4, 25):
        t = min(1, (update - 4) / 16)
        expected = 0.01 + 0.09 * (1 + math.cos(math.pi * t)) / 2
        assert schedule.lr_at(update) == pytest.approx(expected)


def test_a_constant_rate_stays_at_the_peak() -> None:
    schedule = WarmupSchedule(
        optimizer(), peak=0.1, total_updates=110, warmup_updates=10, form="constant"
    )
    assert schedule.lr_at(10) == schedule.lr_at(500) == 0.1


def test_a_line_falls_to_the_rest() -> None:
    schedule = WarmupSchedule(
        optimizer(),
        peak=0.1,
        total_updates=110,
        warmup_updates=10,
        form="linear",
        rest=0.1,
    )
    rates = [schedule.lr_at(update) for update in (10, 60, 110, 500)]
    assert rates == pytest.approx([0.1, 0.055, 0.01, 0.01])


def test_an_inverse_square_root_halves_when_updates_quadruple() -> None:
    schedule = WarmupSchedule(
        optimizer(), peak=0.1, total_updates=110, warmup_updates=10, form="inverse_sqrt"
    )
    rates = [schedule.lr_at(update) for update in (9, 39, 159)]
    assert rates == pytest.approx([0.1, 0.05, 0.025])


def test_a_stable_rate_falls_at_the_end() -> None:
    schedule = WarmupSchedule(
        optimizer(),
        peak=0.1,
        total_updates=110,
        warmup_updates=10,
        form="wsd",
        rest=0.1,
        cooldown=0.2,
    )
    rates = [schedule.lr_at(update) for update in (10, 89, 100, 110, 500)]
    assert rates == pytest.approx([0.1, 0.1, 0.055, 0.01, 0.01])
    with pytest.raises(ValueError, match="above 0"):
        WarmupSchedule(
            optimizer(),
            peak=0.1,
            total_updates=9,
            warmup_updates=0,
            form="wsd",
            cooldown=0.0,
        )


def test_steps_fall_at_milestones() -> None:
    schedule = WarmupSchedule(
        optimizer(),
        peak=0.1,
        total_updates=110,
        warmup_updates=10,
        form="step",
        milestones=(0.5, 0.75),
        milestone_factor=0.1,
    )
    rates = [schedule.lr_at(update) for update in (59, 60, 84, 85, 500)]
    assert rates == pytest.approx([0.1, 0.01, 0.01, 0.001, 0.001])
