"""Tests of the binary cross entropy."""

import math

import pytest
import torch
import torch.nn.functional as F

from dlcoder.templates.components.losses.binary_cross_entropy import (
    BinaryCrossEntropyLoss,
)

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(5, 3, generator=GENERATOR)
TARGET = torch.randint(2, (5, 3), generator=GENERATOR)


def test_an_undecided_logit_costs_the_logarithm_of_two() -> None:
    loss = BinaryCrossEntropyLoss(reduction="mean")(torch.zeros(5, 3), TARGET)
    assert float(loss) == pytest.approx(math.log(2))


def test_a_sum_is_the_sum_of_single_samples() -> None:
    loss = BinaryCrossEntropyLoss(reduction="sum")
    singles = [loss(LOGITS[i : i + 1], TARGET[i : i + 1]) for i in range(5)]
    torch.testing.assert_close(loss(LOGITS, TARGET), torch.stack(singles).sum())


def test_positives_weigh_by_their_class_wherever_it_is() -> None:
    weights = [1.0, 2.0, 4.0]
    loss = BinaryCrossEntropyLoss(pos_weight=weights, reduction="mean")
    expected = F.binary_cross_entropy_with_logits(
        LOGITS, TARGET.float(), pos_weight=torch.tensor(weights)
    )
    torch.testing.assert_close(loss(LOGITS, TARGET), expected)
    maps = LOGITS[:, :, None, None].expand(-1, -1, 2, 2)
    masks = TARGET[:, :, None, None].expand(-1, -1, 2, 2)
    torch.testing.assert_close(loss(maps, masks), expected)


def test_labels_that_are_not_known_do_not_count() -> None:
    loss = BinaryCrossEntropyLoss(ignore_index=-1, reduction="mean")
    target = TARGET.clone()
    target[0] = -1
    torch.testing.assert_close(loss(LOGITS, target), loss(LOGITS[1:], TARGET[1:]))
    assert loss(LOGITS, torch.full((5, 3), -1)) == 0
