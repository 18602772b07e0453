"""Tests of the losses of generative adversarial networks."""

import math
from typing import Literal

import pytest
import torch
from torch import nn

from dlcoder.templates.components.losses.gan import (
    GANLoss,
    gradient_penalty,
    r1_penalty,
)

Kind = Literal["hinge", "non_saturating", "wasserstein"]


@pytest.mark.parametrize(
    ("kind", "value"), [("hinge", 2.0), ("non_saturating", 2 * math.log(2))]
)
def test_an_undecided_discriminator_pays(kind: Kind, value: float) -> None:
    scores = torch.zeros(5)
    loss = GANLoss(kind=kind).discriminator(scores, scores)
    assert float(loss) == pytest.approx(value)


@pytest.mark.parametrize("kind", ["hinge", "non_saturating", "wasserstein"])
def test_the_generator_wants_higher_scores(kind: Kind) -> None:
    scores = torch.tensor([-3.0, 0.0, 3.0], requires_grad=True)
    GANLoss(kind=kind)(scores).backward()
    assert scores.grad is not None
    assert (scores.grad < 0).all()


def test_the_hinge_lets_go_of_samples_beyond_it() -> None:
    real = torch.tensor([2.0, 0.0], requires_grad=True)
    GANLoss(kind="hinge").discriminator(real, torch.zeros(2)).backward()
    assert real.grad is not None
    assert real.grad.tolist() == [0, -0.5]


def test_the_gradient_penalty_of_a_linear_critic_is_known() -> None:
    linear = nn.Linear(12, 1)
    critic = nn.Sequential(nn.Flatten(), linear)
    penalty = gradient_penalty(critic, torch.randn(5, 3, 4), torch.randn(5, 3, 4))
    expected = (linear.weight.norm() - 1) ** 2
    torch.testing.assert_close(penalty, expected)
    penalty.backward()
    assert linear.weight.grad is not None


def test_the_r1_penalty_of_a_quadratic_discriminator_is_known() -> None:
    real = torch.randn(5, 3, 4)
    scale = torch.tensor(2.0, requires_grad=True)
    penalty = r1_penalty(lambda x: scale * x.flatten(1).square().sum(dim=1) / 2, real)
    # The gradient at x is 2 x.
    expected = (2 * real).flatten(1).square().sum(dim=1).mean() / 2
    torch.testing.assert_close(penalty, expected)
    penalty.backward()
    torch.testing.assert_close(scale.grad, expected)
    assert not real.requires_grad
