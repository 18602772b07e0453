"""What a segmentation run minimizes and watches, for one batch.

    loss = cross entropy + dice_weight * soft Dice

Shapes: images (B, 3, H, W), masks (B, H, W) with 255 for pixels that do not count,
logits (B, C, H, W).
"""

from torch import Tensor, nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.losses.cross_entropy import CrossEntropyLoss
from dlcoder.templates.components.losses.dice import DiceLoss

IGNORE = 255


class Segmentation:
    """The objective of semantic segmentation.

    Args:
        dice_weight: Weight of the Dice loss beside the cross entropy. It counters rare
            classes; 0 for none.
    """

    def __init__(self, *, dice_weight: float = 1.0) -> None:
        self.dice_weight = dice_weight
        self.cross_entropy = CrossEntropyLoss(ignore_index=IGNORE, reduction="sum")
        self.dice = DiceLoss(ignore_index=IGNORE)

    def count(self, batch: Batch) -> int:
        """The number of pixels that count, which sums are divided by in the end."""
        _, masks = batch
        return int((masks != IGNORE).sum())

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return sums over the pixels: `loss_*` to minimize, `metric_*` to watch."""
        images, masks = batch
        logits = model(images)
        valid = masks != IGNORE
        return {
            "loss_cross_entropy": self.cross_entropy(logits, masks),
            # Dice is no sum over pixels: each batch's weighs as many as it has.
            "loss_dice": self.dice_weight * self.dice(logits, masks) * valid.sum(),
            "metric_pixel_accuracy": ((logits.argmax(dim=1) == masks) & valid).sum(),
        }
