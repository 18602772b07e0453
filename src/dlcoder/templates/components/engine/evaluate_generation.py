"""Evaluation of a generator: how far what it makes is from images it has not seen.

The Frechet distance is that between the features of a fixed network of random weights.
It falls while colors and textures come nearer, on any data, without a download. It is
not the FID of papers, whose features come from a network that was trained on ImageNet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.metrics.frechet_distance import (
    FrechetSums,
    frechet_distance,
)
from dlcoder.templates.components.models.random_features import RandomFeatures
from dlcoder.templates.components.utils.distributed import World, sum_over_ranks
from dlcoder.templates.components.utils.evaluation_mode import evaluation_mode


@dataclass(frozen=True)
class Evaluation:
    """What a generator achieves on a dataset.

    Attributes:
        metrics: `metric_frechet_distance`.
    """

    metrics: dict[str, float]


@torch.no_grad()
def evaluate_generation(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    world: World,
    amp_dtype: torch.dtype | None = None,
) -> Evaluation:
    """Evaluate `model`, not wrapped for data parallelism, in evaluation mode.

    Each image of the dataset is compared with one that is made, always of the same
    noise, on any number of ranks.

    Args:
        model: Maps noise (B, Z) to images; Z is its `noise_dim`.
        batches: This rank's share of every `world.size`-th image: images (B, 3, S, S)
            first.
        world: This process's place among all.
        amp_dtype: What autocast computes matrix products and convolutions in.
    """
    device = world.device
    # torch knows of no attributes of modules but tensors and modules.
    noise_dim: int = model.noise_dim  # type: ignore[assignment]
    features = RandomFeatures().to(device)
    sums = FrechetSums(features.dim, device)
    number = world.rank
    with evaluation_mode(model):
        for images, *_ in batches:
            numbers = range(number, number + len(images) * world.size, world.size)
            number = numbers.stop
            noise = fixed_noise(numbers, noise_dim).to(device)
            with torch.autocast(
                device.type, dtype=amp_dtype, enabled=amp_dtype is not None
            ):
                made = model(noise)
            real = images.to(device, non_blocking=True)
            sums.update(features(real), features(made.float()))
    distance = frechet_distance(sum_over_ranks(sums.sums))
    return Evaluation({"metric_frechet_distance": distance})


def fixed_noise(numbers: Sequence[int], noise_dim: int) -> Tensor:
    """Return the noise (B, Z) of images by their numbers: the same in every run."""
    rows = [
        torch.randn(noise_dim, generator=torch.Generator().manual_seed(number))
        for number in numbers
    ]
    return torch.stack(rows)
