"""Tests of the Frechet distance."""

import pytest
import torch

from dlcoder.templates.components.metrics.frechet_distance import (
    FrechetSums,
    frechet_distance,
)

FEATURES = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).double()


def measure(real: torch.Tensor, generated: torch.Tensor, batch: int = 50) -> float:
    metric = FrechetSums(4)
    for part in zip(real.split(batch), generated.split(batch), strict=True):
        metric.update(*part)
    return frechet_distance(metric.sums)


def test_a_shift_costs_its_square_and_equal_features_nothing() -> None:
    assert measure(FEATURES, FEATURES + 0.5) == pytest.approx(4 * 0.25)
    assert measure(FEATURES, FEATURES) == pytest.approx(0, abs=1e-9)


def test_a_stretch_costs_the_square_of_the_growth_of_each_deviation() -> None:
    centered = FEATURES - FEATURES.mean(dim=0)
    expected = float(centered.std(dim=0).square().sum())
    assert measure(centered, 2 * centered) == pytest.approx(expected)


def test_uneven_batches_add_up_to_the_whole() -> None:
    other = 2 * FEATURES.flip(0) + 1
    assert measure(FEATURES, other, 21) == pytest.approx(measure(FEATURES, other))


def test_one_sample_has_no_covariance() -> None:
    with pytest.raises(ValueError, match="two samples"):
        measure(FEATURES[:1], FEATURES[:1])
