"""Tests of the reconstruction loss of masked autoencoders."""

import pytest
import torch

from dlcoder.templates.components.losses.mae_reconstruction import (
    MAEReconstructionLoss,
    patchify,
)

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randn(2, 3, 8, 8, generator=GENERATOR)
MASKED = torch.tensor([[1, 0, 1, 1], [0, 1, 0, 0]])


def test_the_true_patches_cost_nothing() -> None:
    loss = MAEReconstructionLoss(patch_size=4, normalize=False)
    assert loss(patchify(IMAGES, 4), IMAGES, MASKED) == 0


def test_patches_are_in_rows_with_the_channels_last() -> None:
    patch = patchify(IMAGES, 4)[1, 2]  # the second row's first patch
    expected = IMAGES[1, :, 4:8, 0:4].permute(1, 2, 0).flatten()
    assert torch.equal(patch, expected)


def test_visible_patches_take_no_part() -> None:
    prediction = torch.zeros(2, 4, 48, requires_grad=True)
    MAEReconstructionLoss(patch_size=4)(prediction, IMAGES, MASKED).backward()
    assert prediction.grad is not None
    assert torch.equal(prediction.grad.any(dim=2), MASKED.bool())


def test_predicting_the_mean_of_standardized_patches_costs_about_one() -> None:
    loss = MAEReconstructionLoss(patch_size=4, normalize=True)
    value = loss(torch.zeros(2, 4, 48), IMAGES, MASKED)
    assert float(value) == pytest.approx(47 / 48, abs=1e-4)


def test_a_constant_patch_is_finite() -> None:
    loss = MAEReconstructionLoss(patch_size=4)
    assert loss(torch.zeros(2, 4, 48), torch.ones(2, 3, 8, 8), MASKED) == 0
