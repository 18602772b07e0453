"""Tests of the diffusion objective."""

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.diffusion import Diffusion


class Silent(nn.Module):
    """Predicts nothing."""

    def forward(self, images: Tensor, step: Tensor) -> Tensor:
        assert images.shape == (64, 3, 8, 8)
        assert step.shape == (64,)
        return torch.zeros_like(images)


def test_a_model_that_predicts_nothing_has_the_weighted_power_of_v() -> None:
    """v has unit variance where image and noise have, and no weight is above 1."""
    images, labels = torch.randn(64, 3, 8, 8), torch.zeros(64)
    objective = Diffusion()
    assert objective.count((images, labels)) == 64
    loss = objective(Silent(), (images, labels))["loss_denoising"] / 64
    assert 0.2 < float(loss) < 1.0


def test_steps_and_noise_are_drawn_anew() -> None:
    images = torch.randn(64, 3, 8, 8)
    losses = [Diffusion()(Silent(), (images,))["loss_denoising"] for _ in range(2)]
    assert losses[0] != losses[1]
