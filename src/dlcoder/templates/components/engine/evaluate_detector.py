"""Evaluation of a detector over a whole dataset, exact on any number of ranks.

Matches of all images are gathered before precision and recall are computed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from dlcoder.templates.components.datasets.pad_boxes import without_padding
from dlcoder.templates.components.engine.detection import Detection
from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.engine.predict import predict
from dlcoder.templates.components.metrics.average_precision import AveragePrecision
from dlcoder.templates.components.models.fcos import decode
from dlcoder.templates.components.utils.distributed import (
    World,
    gather,
    sum_over_ranks,
)


@dataclass(frozen=True)
class Evaluation:
    """What a model achieves on a dataset.

    Attributes:
        metrics: `loss_total`, the mean over locations that have a box, and `metric_*`.
    """

    metrics: dict[str, float]


def evaluate_detector(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    world: World,
    amp_dtype: torch.dtype | None = None,
) -> Evaluation:
    """Evaluate `model`, not wrapped for data parallelism, in evaluation mode.

    Args:
        model: FCOS.
        batches: This rank's share: images, boxes (B, N, 4), and labels (B, N).
        world: This process's place among all.
        amp_dtype: What autocast computes matrix products and convolutions in.
    """
    objective = Detection()
    mine = AveragePrecision()
    sums = torch.zeros(2, dtype=torch.float64, device=world.device)
    for outputs, batch in predict(model, batches, world=world, amp_dtype=amp_dtype):
        images, boxes, labels = batch
        losses = objective.losses(outputs, batch)
        sums[0] += torch.stack(list(losses.values())).sum().double()
        sums[1] += objective.count(batch)
        found = decode(outputs, *images.shape[-2:])
        truth = zip(*without_padding(boxes, labels), strict=True)
        for detections, true in zip(found, truth, strict=True):
            mine.update(*detections, *true)
    total = AveragePrecision()
    for part in gather(mine):
        total.merge(part)
    loss, count = sum_over_ranks(sums).tolist()
    return Evaluation(
        metrics={
            "loss_total": loss / max(count, 1),
            **{f"metric_{name}": value for name, value in total.compute().items()},
        }
    )
