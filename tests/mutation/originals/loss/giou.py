"""Generalised IoU loss of matched boxes."""

import torch
from torch import Tensor


def giou_loss(pred_boxes: Tensor, target_boxes: Tensor, eps: float = 1e-7) -> Tensor:
    """Mean of 1 - GIoU of boxes (N, 4) as x1, y1, x2, y2."""
    pred, target = pred_boxes.float(), target_boxes.float()
    low = torch.maximum(pred[:, :2], target[:, :2])
    high = torch.minimum(pred[:, 2:], target[:, 2:])
    overlap = (high - low).clamp_min(0).prod(dim=1)
    area = (pred[:, 2:] - pred[:, :2]).prod(dim=1) + (target[:, 2:] - target[:, :2]).prod(dim=1)
    union = area - overlap
    hull_low = torch.minimum(pred[:, :2], target[:, :2])
    hull_high = torch.maximum(pred[:, 2:], target[:, 2:])
    hull = (hull_high - hull_low).prod(dim=1)
    giou = overlap / (union + eps) - (hull - union) / (hull + eps)
    return (1 - giou).mean()
