"""Tests of the sum of Dice and cross entropy."""

import torch
import torch.nn.functional as F

from dlcoder.templates.components.losses.dice import DiceLoss
from dlcoder.templates.components.losses.dice_cross_entropy import DiceCrossEntropyLoss

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(2, 3, 4, 4, generator=GENERATOR)
TARGET = torch.randint(3, (2, 4, 4), generator=GENERATOR)
TARGET[0, 0] = 255


def test_it_is_the_sum_of_its_terms() -> None:
    expected = DiceLoss()(LOGITS, TARGET) + F.cross_entropy(
        LOGITS, TARGET, ignore_index=255
    )
    torch.testing.assert_close(DiceCrossEntropyLoss()(LOGITS, TARGET), expected)


def test_both_terms_ignore_the_same_pixels() -> None:
    logits = LOGITS.clone().requires_grad_()
    DiceCrossEntropyLoss()(logits, TARGET).backward()
    assert logits.grad is not None
    assert not logits.grad[0, :, 0].any()
    assert logits.grad[0, :, 1:].any()


def test_a_mask_without_a_valid_pixel_costs_nothing() -> None:
    assert DiceCrossEntropyLoss()(LOGITS, torch.full((2, 4, 4), 255)) == 0
