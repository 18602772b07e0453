"""Dice plus cross entropy, the usual loss of medical and small-object segmentation.

    L = dice_weight * Dice + ce_weight * cross entropy

Cross entropy gives every pixel a clean gradient, Dice counters the imbalance between
classes. See the two modules for their terms.

Reference: Isensee et al., nnU-Net, 2021, https://doi.org/10.1038/s41592-020-01008-z
"""

from torch import Tensor, nn

from dlcoder.templates.components.losses.cross_entropy import CrossEntropyLoss
from dlcoder.templates.components.losses.dice import DiceLoss


class DiceCrossEntropyLoss(nn.Module):
    """Weighted sum of soft Dice and cross entropy.

    Args:
        dice_weight: Weight of the Dice term.
        ce_weight: Weight of the cross entropy term.
        ignore_index: Target value of pixels that take no part.
    """

    def __init__(
        self,
        *,
        dice_weight: float = 1.0,
        ce_weight: float = 1.0,
        ignore_index: int = 255,
    ) -> None:
        super().__init__()
        self.dice_weight = dice_weight
        self.ce_weight = ce_weight
        self.dice = DiceLoss(ignore_index=ignore_index)
        self.cross_entropy = CrossEntropyLoss(ignore_index=ignore_index)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss, at least 0, in float32 or wider.

        Args:
            logits: Class scores `(B, C, H, W)`.
            target: Class indices `(B, H, W)`, int64.
        """
        dice = self.dice(logits, target)
        cross_entropy = self.cross_entropy(logits, target)
        loss: Tensor = self.dice_weight * dice + self.ce_weight * cross_entropy
        return loss
