"""Classes and boxes, from dictionaries."""

import torch.nn.functional as F
from torch import Tensor, nn


class DetectionParts(nn.Module):
    """Cross entropy of classes plus the weighted absolute error of boxes."""

    def __init__(self, box_weight: float = 5.0) -> None:
        super().__init__()
        self.box_weight = box_weight

    def forward(self, outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
        """Return the sum of both parts."""
        classes = F.cross_entropy(outputs["logits"].float(), targets["labels"])
        boxes = F.l1_loss(outputs["boxes"].float(), targets["boxes"])
        return classes + self.box_weight * boxes
