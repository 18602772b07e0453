"""Tests of the loss of variational autoencoders."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from dlcoder.templates.components.losses.beta_vae import BetaVAELoss

GENERATOR = torch.Generator().manual_seed(0)
MEAN = torch.randn(3, 4, generator=GENERATOR)
LOG_VARIANCE = torch.randn(3, 4, generator=GENERATOR)
IMAGE = torch.rand(3, 1, 4, 4, generator=GENERATOR)


def test_a_perfect_image_from_a_standard_normal_costs_nothing() -> None:
    zero = torch.zeros(3, 4)
    assert BetaVAELoss(likelihood="gaussian")(IMAGE, IMAGE, zero, zero) == 0


def test_the_divergence_is_that_of_two_normal_distributions() -> None:
    posterior = Normal(MEAN, (LOG_VARIANCE / 2).exp())
    prior = Normal(torch.zeros(3, 4), torch.ones(3, 4))
    expected = kl_divergence(posterior, prior).sum(dim=1).mean()
    loss = BetaVAELoss(beta=2.0)(IMAGE, IMAGE, MEAN, LOG_VARIANCE)
    torch.testing.assert_close(loss, 2 * expected)


def test_pixels_add_up_so_that_beta_means_the_same_at_every_size() -> None:
    loss, zero = BetaVAELoss(likelihood="gaussian"), torch.zeros(1, 2)
    small, large = torch.ones(1, 1, 4, 4), torch.ones(1, 1, 8, 8)
    ratio = loss(large, 0 * large, zero, zero) / loss(small, 0 * small, zero, zero)
    assert float(ratio) == pytest.approx(4)


def test_a_variance_beyond_all_bounds_is_finite() -> None:
    zero, huge = torch.zeros(3, 4), torch.full((3, 4), 1e4)
    assert BetaVAELoss()(IMAGE, IMAGE, zero, huge).isfinite()
