"""Tests of what every objective shares."""

import math

import pytest
import torch

from dlcoder.templates.components.engine.objective import (
    NonFiniteError,
    refuse_non_finite,
    with_total,
)


def test_the_total_is_the_sum_of_all_losses_and_of_nothing_else() -> None:
    sums = {"loss_a": 1.0, "metric_b": 10.0, "loss_c": 2.0}
    total = with_total({name: torch.tensor(value) for name, value in sums.items()})
    assert {name: float(value) for name, value in total.items()} == {
        "loss_total": 3.0,
        **sums,
    }


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_refused_by_name(value: float) -> None:
    record = {"loss_total": 1.0, "grad_norm": value}
    refuse_non_finite(record, ["loss_total"])
    with pytest.raises(NonFiniteError, match="grad_norm"):
        refuse_non_finite(record, ["loss_total", "grad_norm"])
