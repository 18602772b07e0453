"""Evaluation of a variational autoencoder on images that it has not seen."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.engine.objective_means import objective_means
from dlcoder.templates.components.engine.variational import Variational
from dlcoder.templates.components.utils.distributed import World


@dataclass(frozen=True)
class Evaluation:
    """What a model achieves on a dataset.

    Attributes:
        metrics: `loss_*`; `metric_negative_elbo`, with a weight of the KL of 1 whatever
            it was in training; `metric_reconstruction_error`.
    """

    metrics: dict[str, float]


def evaluate_variational(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    world: World,
    amp_dtype: torch.dtype | None = None,
) -> Evaluation:
    """Evaluate `model`, not wrapped for data parallelism, in evaluation mode.

    Args:
        model: Returns reconstruction, mean and log-variance of images.
        batches: This rank's share: images (B, 3, S, S) first.
        world: This process's place among all.
        amp_dtype: What autocast computes matrix products and convolutions in.
    """
    means = objective_means(
        model, batches, Variational(beta=1.0), world=world, amp_dtype=amp_dtype
    )
    return Evaluation({**means, "metric_negative_elbo": means["loss_negative_elbo"]})
