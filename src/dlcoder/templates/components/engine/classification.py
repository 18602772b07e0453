"""What a classification run minimizes and watches, for one batch.

Shapes: inputs (B, ...), such as images, labels (B,), logits (B, C).
"""

from torch import Tensor, nn

from dlcoder.templates.components.losses.cross_entropy import CrossEntropyLoss

Batch = tuple[Tensor, ...]


class Classification:
    """The objective of single-label classification.

    Args:
        label_smoothing: The probability mass that goes evenly to all classes.
    """

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        self.cross_entropy = CrossEntropyLoss(
            label_smoothing=label_smoothing, reduction="sum"
        )

    def count(self, batch: Batch) -> int:
        """The number of samples, which sums are divided by in the end."""
        _, labels = batch
        return len(labels)

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return sums over the samples: `loss_*` to minimize, `metric_*` to watch.

        Sums, because only they add up rightly over batches of different sizes.
        """
        inputs, labels = batch
        logits = model(inputs)
        return {
            "loss_cross_entropy": self.cross_entropy(logits, labels),
            "metric_accuracy": (logits.argmax(dim=1) == labels).sum(),
        }
