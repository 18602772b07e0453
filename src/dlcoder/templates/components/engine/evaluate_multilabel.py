"""Evaluation of a multi-label classifier, exact on any number of ranks."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.engine.predict import predict
from dlcoder.templates.components.losses.binary_cross_entropy import (
    BinaryCrossEntropyLoss,
)
from dlcoder.templates.components.metrics.multilabel_f1 import (
    MultiLabelCounts,
    multilabel_metrics,
)
from dlcoder.templates.components.utils.distributed import World, sum_over_ranks


@dataclass(frozen=True)
class Evaluation:
    """What a model achieves on a dataset.

    Attributes:
        metrics: `loss_total`, the mean over known labels, and `metric_*`.
        counts: True positives, false positives and false negatives (3, C).
    """

    metrics: dict[str, float]
    counts: Tensor


def evaluate_multilabel(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    num_classes: int,
    world: World,
    amp_dtype: torch.dtype | None = None,
) -> Evaluation:
    """Evaluate `model`, not wrapped for data parallelism, in evaluation mode.

    Args:
        model: Maps images (B, 3, H, W) to logits (B, C).
        batches: This rank's share: images, and labels (B, C).
        num_classes: The number of classes, C.
        world: This process's place among all.
        amp_dtype: What autocast computes matrix products and convolutions in.
    """
    criterion = BinaryCrossEntropyLoss(ignore_index=-1, reduction="sum")
    found = MultiLabelCounts(num_classes, device=world.device)
    sums = torch.zeros(2, dtype=torch.float64, device=world.device)
    for logits, (_, labels) in predict(
        model, batches, world=world, amp_dtype=amp_dtype
    ):
        found.update(logits, labels)
        sums += torch.stack([criterion(logits, labels), (labels >= 0).sum()]).double()
    loss, known = sum_over_ranks(sums).tolist()
    counts = sum_over_ranks(found.counts)
    metrics = multilabel_metrics(counts)
    return Evaluation(
        metrics={
            "loss_total": loss / max(known, 1),
            **{f"metric_{name}": value for name, value in metrics.items()},
        },
        counts=counts.cpu(),
    )
