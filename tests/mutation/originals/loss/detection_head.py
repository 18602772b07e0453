"""What a one-box detector is trained with: a class and a box."""

import torch.nn.functional as F
from torch import Tensor, nn


class DetectionHeadLoss(nn.Module):
    """Cross entropy plus weighted L1.

    cls_logits: (B, C), box_pred: (B, 4), cls_target: (B) int64, box_target: (B, 4).
    """

    def __init__(self, box_weight: float = 2.0) -> None:
        super().__init__()
        self.box_weight = box_weight

    def forward(self, cls_logits: Tensor, box_pred: Tensor, cls_target: Tensor, box_target: Tensor) -> Tensor:
        """Return the loss as a scalar."""
        classes = F.cross_entropy(cls_logits, cls_target)
        boxes = F.l1_loss(box_pred, box_target)
        return classes + self.box_weight * boxes
