"""Tests of what tells a change of code or settings."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from dlcoder.templates.components.utils.describe import describe


class Scale:
    """A transform with a setting."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, image: Tensor, label: int) -> tuple[Tensor, int]:
        return image * self.factor, label


def spike() -> Tensor:
    """Ones, but for one in the middle, which printing leaves out."""
    return torch.ones(9999).index_fill(0, torch.tensor(5000), 2.0)


def test_the_source_of_a_transform_is_in_the_key() -> None:
    assert "image * self.factor" in describe(Scale(1.0))
    assert describe(Scale(1.0)) == describe(Scale(1.0))


def scaled(image: Tensor, label: int, *, factor: float) -> tuple[Tensor, int]:
    return image * factor, label


def enclosing(weight: Any) -> Any:
    return lambda image, label: (image * weight, label)


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (
            partial(scaled, factor=2),
            partial(scaled, factor=2),
            partial(scaled, factor=3),
        ),
        (enclosing(2), enclosing(2), enclosing(3)),
        (enclosing(torch.ones(9999)), enclosing(torch.ones(9999)), enclosing(spike())),
        (Scale(2).__call__, Scale(2).__call__, Scale(3).__call__),
        ([Scale(2), Scale(3)], [Scale(2), Scale(3)], [Scale(3), Scale(2)]),
        # Numbers of one remainder: a set keeps them in the order in which they came.
        ({0, 8, 16}, {16, 8, 0}, {0, 8, 24}),
    ],
    ids=["partial", "closure", "tensor", "method", "several", "set"],
)
def test_settings_are_in_the_key_however_they_are_bound(
    one: Any, same: Any, other: Any
) -> None:
    assert describe(one) == describe(same) != describe(other)
