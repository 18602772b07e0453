"""Tests of the evaluation of a generator."""

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.evaluate_generation import (
    evaluate_generation,
    fixed_noise,
)
from dlcoder.templates.components.utils.distributed import World

ALONE = World(rank=0, size=1, device=torch.device("cpu"))


class Painter(nn.Module):
    """Makes images of noise as it is, brighter or darker."""

    noise_dim = 3 * 16 * 16

    def __init__(self, brightness: float = 0.0) -> None:
        super().__init__()
        self.brightness = brightness

    def forward(self, noise: Tensor) -> Tensor:
        return noise.reshape(-1, 3, 16, 16) + self.brightness


def distance(model: nn.Module, *sizes: int) -> float:
    images = torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    batches = [(part, torch.zeros(len(part))) for part in images.split(list(sizes))]
    metrics = evaluate_generation(model, batches, world=ALONE).metrics
    return metrics["metric_frechet_distance"]


def test_images_of_another_brightness_are_farther_away() -> None:
    near, far = distance(Painter(), 64), distance(Painter(1.0), 64)
    assert far > 3 * near > 0


def test_the_distance_repeats_whatever_the_batches() -> None:
    assert distance(Painter(), 64) == distance(Painter(), 64)
    torch.testing.assert_close(
        distance(Painter(), 64), distance(Painter(), 32, 31, 1), rtol=1e-4, atol=0
    )


def test_an_image_has_the_same_noise_on_any_number_of_ranks() -> None:
    alone = fixed_noise(range(4), 8)
    assert torch.equal(fixed_noise(range(1, 4, 2), 8), alone[1::2])
