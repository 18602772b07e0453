"""Tests of the learning rate's other forms."""

import math
from itertools import pairwise
from typing import get_args

import pytest
import torch

from dlcoder.templates.components.engine.schedule_forms import Form, WarmupForm


def make(form: Form, warmup: int = 10, total: int = 110) -> WarmupForm:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=99.0)
    return WarmupForm(
        optimizer,
        peak=0.1,
        total_updates=total,
        warmup_updates=warmup,
        form=form,
        rest=0.1,
        decay=0.2,
        milestones=(0.5, 0.75),
        factor=0.1,
    )


@pytest.mark.parametrize("form", get_args(Form))
def test_the_warm_up_ends_at_the_peak_and_nothing_exceeds_it(form: Form) -> None:
    schedule = make(form)
    rates = [schedule.lr_at(update) for update in range(150)]
    assert rates[:10] == pytest.approx([0.01 * n for n in range(1, 11)])
    assert rates[10] == pytest.approx(0.1, rel=0.06)
    assert max(rates) <= 0.1 + 1e-12
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(rates[9:]))


@pytest.mark.parametrize(
    ("form", "update", "expected"),
    [
        ("constant", 500, 0.1),
        ("linear", 60, 0.055),
        ("linear", 110, 0.01),
        ("linear", 500, 0.01),
        ("inverse_sqrt", 39, 0.05),
        ("wsd", 89, 0.1),
        ("wsd", 100, 0.055),
        ("wsd", 110, 0.01),
        ("step", 59, 0.1),
        ("step", 60, 0.01),
        ("step", 85, 0.001),
    ],
)
def test_rates_are_those_of_the_formula(
    form: Form, update: int, expected: float
) -> None:
    assert make(form).lr_at(update) == pytest.approx(expected)


@pytest.mark.parametrize("form", get_args(Form))
def test_it_may_have_no_warm_up(form: Form) -> None:
    rates = [make(form, warmup=0).lr_at(update) for update in range(5)]
    assert rates[0] == pytest.approx(0.1)
    assert all(math.isfinite(rate) and rate > 0 for rate in rates)


def test_it_goes_on_from_its_state_and_sets_every_group() -> None:
    schedule, resumed = make("linear"), make("linear")
    for _ in range(37):
        schedule.step()
    resumed.load_state_dict(schedule.state_dict())
    assert resumed.lr == schedule.lr == resumed.optimizer.param_groups[0]["lr"]
