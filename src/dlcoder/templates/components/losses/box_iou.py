"""IoU, GIoU, DIoU and CIoU losses for matched pairs of boxes.

    IoU:  1 - IoU
    GIoU: 1 - IoU + |hull minus union| / |hull|
    DIoU: 1 - IoU + d^2 / c^2
    CIoU: DIoU + a v,  v = 4 / pi^2 (atan w'/h' - atan w/h)^2,  a = v / (1 - IoU + v)

`d` is the distance of the centers and `c` the diagonal of the hull, the smallest box
around both. IoU gives disjoint boxes no gradient; GIoU and DIoU pull them together;
CIoU also matches the aspect ratio (`a` gets no gradient). Boxes without area are
finite.

Papers: Rezatofighi et al., 2019, https://arxiv.org/abs/1902.09630; Zheng et al., 2020,
https://arxiv.org/abs/1911.08287
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn


class BoxIoULoss(nn.Module):
    """Mean loss over matched pairs of boxes.

    Args:
        kind: Which penalty joins 1 - IoU.
    """

    def __init__(
        self, *, kind: Literal["iou", "giou", "diou", "ciou"] = "giou"
    ) -> None:
        super().__init__()
        if kind not in ("iou", "giou", "diou", "ciou"):
            raise ValueError(f"kind must be iou, giou, diou or ciou, got {kind!r}")
        self.kind = kind

    def forward(self, boxes: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss, 0 where there are no pairs, in float32 or wider.

        Args:
            boxes: Predicted corners x1, y1, x2, y2 with x1 <= x2 and y1 <= y2, `(N,
                4)`.
            target: True corners `(N, 4)`.

        Raises:
            ValueError: The shapes differ, and would broadcast without a word.
        """
        if boxes.shape != target.shape:
            raise ValueError(
                f"shapes differ: {tuple(boxes.shape)} and {tuple(target.shape)}"
            )
        # Areas of pixel coordinates overflow half precision.
        boxes = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
        target = target.to(boxes.dtype)
        eps = torch.finfo(boxes.dtype).eps
        size, target_size = boxes[:, 2:] - boxes[:, :2], target[:, 2:] - target[:, :2]
        overlap = (
            torch.minimum(boxes[:, 2:], target[:, 2:])
            - torch.maximum(boxes[:, :2], target[:, :2])
        ).clamp_min(0)
        hull = torch.maximum(boxes[:, 2:], target[:, 2:]) - torch.minimum(
            boxes[:, :2], target[:, :2]
        )

        intersection = overlap.prod(dim=1)
        union = size.prod(dim=1) + target_size.prod(dim=1) - intersection
        iou = intersection / union.clamp_min(eps)
        loss = 1 - iou
        if self.kind == "giou":
            hull_area = hull.prod(dim=1)
            loss = loss + (hull_area - union) / hull_area.clamp_min(eps)
        if self.kind in ("diou", "ciou"):
            centers = (boxes[:, :2] + boxes[:, 2:] - target[:, :2] - target[:, 2:]) / 2
            loss = loss + centers.square().sum(dim=1) / hull.square().sum(
                dim=1
            ).clamp_min(eps)
        if self.kind == "ciou":
            loss = loss + _aspect_penalty(size, target_size, iou)
        return loss.sum() / max(len(boxes), 1)


def _aspect_penalty(size: Tensor, target_size: Tensor, iou: Tensor) -> Tensor:
    """Return the term a * v of CIoU `(N,)` for widths and heights `(N, 2)`."""
    eps = torch.finfo(size.dtype).eps
    angle = torch.atan2(size[:, 0], size[:, 1].clamp_min(eps))
    target_angle = torch.atan2(target_size[:, 0], target_size[:, 1].clamp_min(eps))
    v = 4 / math.pi**2 * (target_angle - angle).square()
    weight = (v / (1 - iou + v).clamp_min(eps)).detach()
    return weight * v
