"""Evaluation of a diffusion model: the denoising error on images that it has not seen.

It is fast, and falls as long as the model learns; it says little about how samples look
to people. For that, compare the Frechet distance of many samples by a feature network.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from dlcoder.templates.components.engine.diffusion import Diffusion
from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.engine.objective_means import objective_means
from dlcoder.templates.components.utils.distributed import World


@dataclass(frozen=True)
class Evaluation:
    """What a model achieves on a dataset.

    Attributes:
        metrics: `loss_*`, and `metric_denoising_error`, the same.
    """

    metrics: dict[str, float]


def evaluate_diffusion(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    world: World,
    amp_dtype: torch.dtype | None = None,
) -> Evaluation:
    """Evaluate `model`, not wrapped for data parallelism, in evaluation mode.

    Args:
        model: Predicts v for noisy images and steps.
        batches: This rank's share: images (B, 3, S, S) first.
        world: This process's place among all.
        amp_dtype: What autocast computes matrix products and convolutions in.
    """
    means = objective_means(
        model, batches, Diffusion(), world=world, amp_dtype=amp_dtype
    )
    return Evaluation({**means, "metric_denoising_error": means["loss_total"]})
