"""Evaluation of a classifier over a whole dataset, exact on any number of ranks.

Every rank sees its share of the samples once; counts and sums are added up at the end,
and metrics computed from the totals. There is no communication in between, so shares
and last batches may differ in size.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlcoder.templates.components.losses.cross_entropy import CrossEntropyLoss
from dlcoder.templates.components.metrics.confusion_matrix import (
    ConfusionMatrix,
    classification_metrics,
)
from dlcoder.templates.components.utils.distributed import (
    World,
    share_buffers,
    sum_over_ranks,
)


@dataclass(frozen=True)
class Evaluation:
    """What a model achieves on a dataset.

    Attributes:
        metrics: Means over all samples: `loss_*`, and `metric_*` of the confusion.
        confusion: Counts (C, C), rows for the true classes.
    """

    metrics: dict[str, float]
    confusion: Tensor


@torch.inference_mode()
def evaluate_classifier(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
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
    share_buffers(model)
    device = world.device
    criterion = CrossEntropyLoss(reduction="sum")
    confusion = ConfusionMatrix(num_classes, device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    training = model.training
    model.eval()
    for inputs, labels in batches:
        inputs = inputs.to(device, non_blocking=True)
        labels = labels.to(device, non_blocking=True)
        with torch.autocast(
            device.type, dtype=amp_dtype, enabled=amp_dtype is not None
        ):
            logits = model(inputs)
        confusion.update(logits, labels)
        loss += criterion(logits, labels).double()
    model.train(training)
    counts = sum_over_ranks(confusion.counts)
    mean_loss = float(sum_over_ranks(loss) / counts.sum())
    metrics = classification_metrics(counts)
    return Evaluation(
        metrics={
            "loss_total": mean_loss,
            "loss_cross_entropy": mean_loss,
            **{f"metric_{name}": value for name, value in metrics.items()},
        },
        confusion=counts.cpu(),
    )
