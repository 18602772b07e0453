"""Cross entropy plus agreement of neighboring pixels."""

import torch.nn.functional as F
from torch import Tensor, nn


class RegionConsensusLoss(nn.Module):
    """Cross entropy, and the squared distance of every pixel's prediction from its neighborhood's mean.

    logits: (B, C, H, W), mask: (B, H, W) with `ignore_index` where nothing is known.
    """

    def __init__(self, weight: float = 0.5, window: int = 3, ignore_index: int = 255) -> None:
        super().__init__()
        self.weight = weight
        self.window = window
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the loss as a float32 scalar."""
        logits = logits.float()
        valid = mask != self.ignore_index
        count = valid.sum().clamp_min(1)
        per_pixel = F.cross_entropy(logits, mask, ignore_index=self.ignore_index, reduction="none")
        probs = logits.softmax(dim=1) * valid.unsqueeze(1)
        near = F.avg_pool2d(valid.float().unsqueeze(1), self.window, 1, self.window // 2)
        mean = F.avg_pool2d(probs, self.window, 1, self.window // 2) / near.clamp_min(1e-6)
        spread = (probs - mean).square().sum(dim=1) * valid
        return per_pixel.sum() / count + self.weight * spread.sum() / count
