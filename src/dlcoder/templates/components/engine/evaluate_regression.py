"""Evaluation of a regression over a whole dataset, exact on any number of ranks."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.engine.predict import predict
from dlcoder.templates.components.metrics.regression_error import (
    RegressionSums,
    regression_metrics,
)
from dlcoder.templates.components.utils.distributed import World, sum_over_ranks


@dataclass(frozen=True)
class Evaluation:
    """What a model achieves on a dataset.

    Attributes:
        metrics: `loss_total`, the mean squared error, and `metric_*`.
    """

    metrics: dict[str, float]


def evaluate_regression(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    num_targets: int,
    world: World,
    amp_dtype: torch.dtype | None = None,
) -> Evaluation:
    """Evaluate `model`, not wrapped for data parallelism, in evaluation mode.

    Args:
        model: Maps features (B, F) to predictions (B, T).
        batches: This rank's share: features, and targets (B, T).
        num_targets: The number of targets, T.
        world: This process's place among all.
        amp_dtype: What autocast computes matrix products and convolutions in.
    """
    errors = RegressionSums(num_targets, device=world.device)
    for predictions, (_, targets) in predict(
        model, batches, world=world, amp_dtype=amp_dtype
    ):
        errors.update(predictions, targets)
    metrics = regression_metrics(sum_over_ranks(errors.sums))
    return Evaluation(
        metrics={
            "loss_total": metrics["rmse"] ** 2,
            **{f"metric_{name}": value for name, value in metrics.items()},
        }
    )
