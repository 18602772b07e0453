"""Evaluation of a classifier over a whole dataset, exact on any number of ranks.

Every rank sees its share of the samples once; counts and sums are added up at the end,
and metrics computed from the totals.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.engine.predict import predict
from dlcoder.templates.components.losses.cross_entropy import CrossEntropyLoss
from dlcoder.templates.components.metrics.confusion_matrix import (
    ConfusionMatrix,
    classification_metrics,
)
from dlcoder.templates.components.utils.distributed import World, sum_over_ranks


@dataclass(frozen=True)
class Evaluation:
    """What a model achieves on a dataset.

    Attributes:
        metrics: Means over all samples: `loss_*`, and `metric_*` of the confusion.
        confusion: Counts (C, C), rows for the true classes.
    """

    metrics: dict[str, float]
    confusion: Tensor


def evaluate_classifier(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    num_classes: int,
    world: World,
    amp_dtype: torch.dtype | None = None,
) -> Evaluation:
    """Evaluate `model`, not wrapped for data parallelism, in evaluation mode.

    Args:
        model: Maps inputs (B, ...), such as images, to logits (B, C).
        batches: This rank's share: inputs, and labels (B,).
        num_classes: The number of classes, C.
        world: This process's place among all.
        amp_dtype: What autocast computes matrix products and convolutions in.
    """
    criterion = CrossEntropyLoss(reduction="sum")
    confusion = ConfusionMatrix(num_classes, world.device)
    loss = torch.zeros((), dtype=torch.float64, device=world.device)
    for logits, (_, labels) in predict(
        model, batches, world=world, amp_dtype=amp_dtype
    ):
        confusion.update(logits, labels)
        loss += criterion(logits, labels).double()
    counts = sum_over_ranks(confusion.counts)
    mean_loss = float(sum_over_ranks(loss) / counts.sum().clamp(min=1))
    metrics = classification_metrics(counts)
    return Evaluation(
        metrics={
            "loss_total": mean_loss,
            "loss_cross_entropy": mean_loss,
            **{f"metric_{name}": value for name, value in metrics.items()},
        },
        confusion=counts.cpu(),
    )
