"""Evaluation of a segmentation over a whole dataset, exact on any number of ranks.

Pixels of all images and ranks are counted before any ratio is taken.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.engine.predict import predict
from dlcoder.templates.components.losses.cross_entropy import CrossEntropyLoss
from dlcoder.templates.components.metrics.segmentation_iou import (
    SegmentationCounts,
    segmentation_metrics,
)
from dlcoder.templates.components.utils.distributed import World, sum_over_ranks


@dataclass(frozen=True)
class Evaluation:
    """What a model achieves on a dataset.

    Attributes:
        metrics: `loss_total`, the cross entropy, and `metric_*` of the counts.
        counts: Pixels (C, C), rows for the true classes.
    """

    metrics: dict[str, float]
    counts: Tensor


def evaluate_segmentation(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    num_classes: int,
    world: World,
    amp_dtype: torch.dtype | None = None,
) -> Evaluation:
    """Evaluate `model`, not wrapped for data parallelism, in evaluation mode.

    Args:
        model: Maps images (B, 3, H, W) to logits (B, C, H, W).
        batches: This rank's share: images, and masks (B, H, W).
        num_classes: The number of classes, C.
        world: This process's place among all.
        amp_dtype: What autocast computes matrix products and convolutions in.
    """
    criterion = CrossEntropyLoss(ignore_index=255, reduction="sum")
    pixels = SegmentationCounts(num_classes, device=world.device)
    loss = torch.zeros((), dtype=torch.float64, device=world.device)
    for logits, (_, masks) in predict(model, batches, world=world, amp_dtype=amp_dtype):
        pixels.update(logits, masks)
        loss += criterion(logits, masks).double()
    counts = sum_over_ranks(pixels.counts)
    total = float(sum_over_ranks(loss) / counts.sum().clamp(min=1))
    metrics = segmentation_metrics(counts)
    return Evaluation(
        metrics={
            "loss_total": total,
            **{f"metric_{name}": value for name, value in metrics.items()},
        },
        counts=counts.cpu(),
    )
