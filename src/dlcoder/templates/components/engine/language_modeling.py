"""What a language model minimizes and watches, for one batch.

Shapes: inputs (B, L), targets (B, L), the inputs moved by one token, with -100 where
nothing is to be predicted, logits (B, L, V).
"""

from torch import Tensor, nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.losses.cross_entropy import CrossEntropyLoss

IGNORE = -100


class LanguageModeling:
    """The objective of next-token prediction."""

    def __init__(self) -> None:
        self.cross_entropy = CrossEntropyLoss(ignore_index=IGNORE, reduction="sum")

    def count(self, batch: Batch) -> int:
        """The number of tokens to predict, which sums are divided by in the end."""
        _, targets = batch
        return int((targets != IGNORE).sum())

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return sums over the tokens: `loss_*` to minimize, `metric_*` to watch."""
        inputs, targets = batch
        logits = model(inputs).transpose(1, 2)  # (B, V, L): classes second
        return {
            "loss_cross_entropy": self.cross_entropy(logits, targets),
            "metric_accuracy": (logits.argmax(dim=1) == targets).sum(),
        }
