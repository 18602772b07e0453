"""What a regression run minimizes and watches, for one batch.

Shapes: features (B, F), targets (B, T), predictions (B, T).
"""

from torch import Tensor, nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.losses.smooth_l1 import SmoothL1Loss


class Regression:
    """The objective of regression.

    Args:
        beta: The error up to which the loss is quadratic, and beyond which it is
            linear, so that outliers pull no harder.
    """

    def __init__(self, *, beta: float = 1.0) -> None:
        self.smooth_l1 = SmoothL1Loss(beta=beta, reduction="sum")

    def count(self, batch: Batch) -> int:
        """The number of target values, which sums are divided by in the end."""
        _, targets = batch
        return targets.numel()

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return sums over the values: `loss_*` to minimize, `metric_*` to watch."""
        features, targets = batch
        predictions = model(features)
        return {
            "loss_smooth_l1": self.smooth_l1(predictions, targets),
            "metric_mae": (predictions.detach().float() - targets).abs().sum(),
        }
