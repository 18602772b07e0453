"""Tests of the structural similarity."""

import pytest
import torch

from dlcoder.templates.components.metrics.structural_similarity import (
    SSIMSums,
    structural_similarity,
)

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.rand(3, 1, 16, 16, generator=GENERATOR)
NOISY = IMAGES + 0.1 * torch.randn(3, 1, 16, 16, generator=GENERATOR)


def measure(prediction: torch.Tensor, batch: int = 3) -> float:
    metric = SSIMSums()
    for part in zip(prediction.split(batch), IMAGES.split(batch), strict=True):
        metric.update(*part)
    return structural_similarity(metric.sums)


def test_equal_images_score_one_and_noise_costs() -> None:
    assert measure(IMAGES) == pytest.approx(1)
    assert 0.5 < measure(NOISY) < 1


def test_uneven_batches_add_up_to_the_whole() -> None:
    assert measure(NOISY, 2) == pytest.approx(measure(NOISY), rel=1e-12)
