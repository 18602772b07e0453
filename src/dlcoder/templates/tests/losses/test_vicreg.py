"""Tests of VICReg."""

import math

import pytest
import torch

from dlcoder.templates.components.losses.vicreg import VICRegLoss

VIEW = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))


def whitened() -> torch.Tensor:
    """Embeddings (32, 4) with covariance 1."""
    centered = VIEW - VIEW.mean(dim=0)
    basis: torch.Tensor = torch.linalg.qr(centered).Q
    return math.sqrt(31) * basis


def test_equal_whitened_views_cost_nothing() -> None:
    assert float(VICRegLoss()(whitened(), whitened())) == pytest.approx(0, abs=1e-3)


def test_a_collapse_costs_the_variance_of_both_views() -> None:
    same = torch.ones(32, 4)
    # The standard deviation of nothing is sqrt(1e-4), for a finite gradient.
    loss = VICRegLoss(variance=25.0)(same, same)
    assert float(loss) == pytest.approx(25 * (1 - 0.01))


def test_dimensions_that_repeat_each_other_cost() -> None:
    repeated = whitened()[:, [0, 0, 1, 1]]
    assert VICRegLoss()(repeated, repeated) > 0.5


def test_one_sample_has_no_variance() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        VICRegLoss()(VIEW[:1], VIEW[:1])
