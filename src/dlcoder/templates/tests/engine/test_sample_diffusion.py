"""Tests of sampling."""

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.diffusion import STEPS
from dlcoder.templates.components.engine.sample_diffusion import sample_diffusion
from dlcoder.templates.components.utils.noise_schedule import cosine_schedule


class Knowing(nn.Module):
    """Knows that every image is gray of 0.7, and predicts v exactly."""

    def forward(self, images: Tensor, step: Tensor) -> Tensor:
        alpha_bar = cosine_schedule(STEPS)[step].view(-1, 1, 1, 1).float()
        signal, power = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
        noise = (images - signal * 0.7) / power
        return signal * noise - power * 0.7


def test_an_exact_model_gives_exact_images() -> None:
    images = sample_diffusion(Knowing(), torch.randn(2, 3, 4, 4), evaluations=10)
    torch.testing.assert_close(images, torch.full((2, 3, 4, 4), 0.7), atol=1e-3, rtol=0)


def test_the_noise_alone_decides() -> None:
    noise = torch.randn(1, 3, 4, 4)
    first, second = (sample_diffusion(Knowing(), noise) for _ in range(2))
    assert torch.equal(first, second)
