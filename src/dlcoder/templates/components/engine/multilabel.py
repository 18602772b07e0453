"""What a run minimizes and watches where an image has any number of classes.

Shapes: images (B, 3, H, W), labels (B, C) of 0 and 1, or -1 where nobody looked,
logits (B, C).
"""

from torch import Tensor, nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.losses.binary_cross_entropy import (
    BinaryCrossEntropyLoss,
)


class MultiLabel:
    """The objective of multi-label classification."""

    def __init__(self) -> None:
        self.cross_entropy = BinaryCrossEntropyLoss(ignore_index=-1, reduction="sum")

    def count(self, batch: Batch) -> int:
        """The number of known labels, which sums are divided by in the end."""
        _, labels = batch
        return int((labels >= 0).sum())

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return sums over the labels: `loss_*` to minimize, `metric_*` to watch."""
        images, labels = batch
        logits = model(images)
        right = ((logits >= 0) == (labels == 1)) & (labels >= 0)
        return {
            "loss_cross_entropy": self.cross_entropy(logits, labels),
            "metric_label_accuracy": right.sum(),
        }
