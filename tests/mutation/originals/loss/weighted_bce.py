"""Binary cross entropy in which positives weigh more."""

import torch.nn.functional as F
from torch import Tensor, nn


class WeightedBinaryCrossEntropy(nn.Module):
    """-(w y log p + (1 - y) log(1 - p)) as the mean. logits, target: (B, C), target 0 or 1."""

    def __init__(self, pos_weight: float = 2.0) -> None:
        super().__init__()
        self.pos_weight = pos_weight

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss as a scalar."""
        positive = self.pos_weight * target * F.logsigmoid(logits)
        negative = (1 - target) * F.logsigmoid(-logits)
        return -(positive + negative).mean()
