"""Tests of the evaluation of a diffusion model."""

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.evaluate_diffusion import evaluate_diffusion
from dlcoder.templates.components.utils.distributed import World

ALONE = World(rank=0, size=1, device=torch.device("cpu"))


class Silent(nn.Module):
    """Predicts nothing."""

    def forward(self, images: Tensor, step: Tensor) -> Tensor:
        return torch.zeros_like(images)


def test_the_error_repeats_although_noise_is_drawn() -> None:
    batches = [(torch.randn(32, 3, 8, 8), torch.zeros(32))]
    first, second = (
        evaluate_diffusion(Silent(), batches, world=ALONE).metrics for _ in range(2)
    )
    assert first == second
    assert first["metric_denoising_error"] == first["loss_total"] > 0.2
