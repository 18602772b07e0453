"""Tests of the diffusion loss."""

from typing import Literal

import pytest
import torch
import torch.nn.functional as F

from dlcoder.templates.components.losses.diffusion import DiffusionLoss

Prediction = Literal["epsilon", "v", "x0"]
ALPHA_BAR = torch.linspace(0.99, 0.0, 20)
GENERATOR = torch.Generator().manual_seed(0)
CLEAN = torch.randn(20, 3, 4, generator=GENERATOR)
NOISE = torch.randn(20, 3, 4, generator=GENERATOR)
STEP = torch.arange(20)


def test_the_last_step_of_this_schedule_is_nothing_but_noise() -> None:
    noisy = DiffusionLoss(ALPHA_BAR).add_noise(CLEAN, NOISE, STEP)
    torch.testing.assert_close(noisy[-1], NOISE[-1])
    torch.testing.assert_close(noisy[0], 0.99**0.5 * CLEAN[0] + 0.1 * NOISE[0])


def test_unweighted_it_is_the_mean_squared_error_of_the_noise() -> None:
    loss = DiffusionLoss(ALPHA_BAR, prediction="epsilon", snr_gamma=None)
    expected = F.mse_loss(CLEAN, NOISE)
    torch.testing.assert_close(loss(CLEAN, CLEAN, NOISE, STEP), expected)


@pytest.mark.parametrize("prediction", ["epsilon", "v", "x0"])
def test_every_target_weighs_an_error_of_the_image_alike(
    prediction: Prediction,
) -> None:
    error = 0.1 * torch.randn(20, 3, 4, generator=GENERATOR)
    signal = ALPHA_BAR.sqrt()[:, None, None]
    sigma = (1 - ALPHA_BAR).sqrt()[:, None, None]
    output = {
        "x0": CLEAN + error,
        "epsilon": NOISE - error * signal / sigma,
        "v": signal * NOISE - sigma * CLEAN - error / sigma,
    }[prediction]
    loss = DiffusionLoss(ALPHA_BAR, prediction=prediction, snr_gamma=5.0)
    ratio = ALPHA_BAR / (1 - ALPHA_BAR)
    expected = (ratio.clamp(max=5) * error.square().mean(dim=(1, 2))).mean()
    torch.testing.assert_close(
        loss(output, CLEAN, NOISE, STEP), expected, rtol=1e-4, atol=1e-6
    )
