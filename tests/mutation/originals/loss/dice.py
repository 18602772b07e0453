"""Soft Dice loss over classes, per image."""

import torch.nn.functional as F
from torch import Tensor, nn


class DiceLoss(nn.Module):
    """1 - 2 |P T| / (|P| + |T|), the mean over images and classes."""

    def __init__(self, smooth: float = 1.0, ignore_index: int = 255) -> None:
        super().__init__()
        self.smooth = smooth
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """The loss of logits (B, C, H, W) against a mask (B, H, W)."""
        probs = logits.float().softmax(dim=1)
        valid = (mask != self.ignore_index).unsqueeze(1)
        labels = mask.masked_fill(mask == self.ignore_index, 0)
        truth = F.one_hot(labels, logits.shape[1]).movedim(-1, 1).float()
        probs, truth = probs * valid, truth * valid
        overlap = (probs * truth).sum(dim=(2, 3))
        total = probs.sum(dim=(2, 3)) + truth.sum(dim=(2, 3))
        dice = (2 * overlap + self.smooth) / (total + self.smooth)
        return (1 - dice).mean()
