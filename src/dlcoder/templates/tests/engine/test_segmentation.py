"""Tests of the segmentation objective."""

import torch
from torch import nn

from dlcoder.templates.components.engine.segmentation import IGNORE, Segmentation


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 4, 4, generator=generator)
    masks = torch.randint(0, 3, (2, 4, 4), generator=generator)
    masks[0, 0] = IGNORE
    return images, masks


def test_only_pixels_that_count_are_counted() -> None:
    assert Segmentation().count(batch()) == 28
    images, masks = batch()
    assert Segmentation().count((images, torch.full_like(masks, IGNORE))) == 0


def test_sums_are_those_of_the_pixels() -> None:
    model = nn.Conv2d(3, 3, 1)
    images, masks = batch()
    sums = Segmentation()(model, (images, masks))
    valid = masks != IGNORE
    logits = model(images)
    expected = nn.functional.cross_entropy(
        logits, masks, ignore_index=IGNORE, reduction="sum"
    )
    torch.testing.assert_close(sums["loss_cross_entropy"], expected)
    right = (logits.argmax(dim=1) == masks)[valid].sum()
    assert sums["metric_pixel_accuracy"] == right
    assert 0 < sums["loss_dice"] < valid.sum()


def test_pixels_that_do_not_count_change_nothing() -> None:
    model, objective = nn.Conv2d(3, 3, 1), Segmentation()
    images, masks = batch()
    changed = images.clone()
    changed[0, :, 0] = 5.0
    before = objective(model, (images, masks))
    after = objective(model, (changed, masks))
    assert before.keys() == after.keys()
    for name in before:
        torch.testing.assert_close(before[name], after[name])
