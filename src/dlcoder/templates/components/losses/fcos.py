"""Loss of the anchor-free detector FCOS: which location learns which box, and how.

    L = (sum focal(class) + sum over positives of GIoU + BCE(centerness)) / positives
    centerness = sqrt(min(l, r) / max(l, r) * min(t, b) / max(t, b))

A location is positive for a box that it lies in, near whose center it is, and whose
sides are as far away as its level is made for; among several, for the smallest. All
others are background. `l, t, r, b` are its distances to the sides of the box.

Papers: Tian et al., 2019, https://arxiv.org/abs/1904.01355; Lin et al., 2017 (focal),
https://arxiv.org/abs/1708.02002
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcoder.templates.components.losses.sigmoid_focal import SigmoidFocalLoss

CENTER_RADIUS = 1.5
"""How far a positive location may be from the center of its box, in strides."""


class FCOSLoss(nn.Module):
    """Focal loss of classes, GIoU loss of boxes and cross entropy of centerness.

    Args:
        reduction: "mean" over the positive locations, at least 1, or "sum". Sums can be
            added up over micro-batches and ranks before one division by all positives.
    """

    def __init__(self, *, reduction: Literal["mean", "sum"] = "mean") -> None:
        super().__init__()
        self.reduction = reduction
        self.focal = SigmoidFocalLoss()

    def forward(
        self,
        logits: Tensor,
        distances: Tensor,
        centerness: Tensor,
        locations: Tensor,
        boxes: Sequence[Tensor],
        labels: Sequence[Tensor],
    ) -> Tensor:
        """Return the scalar loss in float32 or wider: the sum of `terms`."""
        terms = self.terms(logits, distances, centerness, locations, boxes, labels)
        return torch.stack(list(terms.values())).sum()

    def terms(
        self,
        logits: Tensor,
        distances: Tensor,
        centerness: Tensor,
        locations: Tensor,
        boxes: Sequence[Tensor],
        labels: Sequence[Tensor],
    ) -> dict[str, Tensor]:
        """Return the scalar losses `class`, `box` and `centerness`.

        Args:
            logits: Class scores `(B, L, C)`.
            distances: Distances to the left, top, right and bottom side in pixels, at
                least 0, `(B, L, 4)`.
            centerness: Logits of the centerness `(B, L)`.
            locations: x, y and stride of the locations `(L, 3)`.
            boxes: The true boxes of each image, x1, y1, x2, y2 `(N, 4)`.
            labels: Their classes `(N,)`, int64.

        Raises:
            ValueError: Shapes do not fit, and would broadcast without a word.
            RuntimeError: A label is not a class.
        """
        if distances.shape[:2] != logits.shape[:2]:
            raise ValueError(
                f"shapes do not fit: {tuple(logits.shape)}, {tuple(distances.shape)}"
            )
        dtype = torch.promote_types(logits.dtype, torch.float32)
        logits, distances, centerness = (
            x.to(dtype) for x in (logits, distances, centerness)
        )
        target, true_distances = assign(locations.to(dtype), boxes, labels)
        positive = target >= 0
        # One column more, for the background, which is left out again.
        classes = logits.new_zeros(*logits.shape[:2], logits.shape[2] + 1)
        classes = classes.scatter_(2, target.unsqueeze(2) + 1, 1)[..., 1:]
        sums = {
            "class": self.focal(logits, classes, normalizer=target.new_ones(())),
            "box": _giou_loss(distances, true_distances).where(positive, 0).sum(),
            "centerness": F.binary_cross_entropy_with_logits(
                centerness, _centerness(true_distances), positive, reduction="sum"
            ),
        }
        if self.reduction == "sum":
            return sums
        count = positive.sum().clamp(min=1)
        return {name: value / count for name, value in sums.items()}


@torch.no_grad()
def assign(
    locations: Tensor, boxes: Sequence[Tensor], labels: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Give every location of every image its box.

    Args:
        locations: x, y and stride `(L, 3)`.
        boxes: The true boxes of each image `(N, 4)`.
        labels: Their classes `(N,)`.

    Returns:
        The class of each location, -1 for background, `(B, L)`, and its distances to
        the sides of its box `(B, L, 4)`, 1 for background.
    """
    images = [_assign(locations, *image) for image in zip(boxes, labels, strict=True)]
    classes, distances = zip(*images, strict=True)
    return torch.stack(classes), torch.stack(distances)


def _assign(locations: Tensor, boxes: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return class `(L,)` and distances `(L, 4)` of the locations of one image."""
    if len(boxes) != len(labels):
        raise ValueError(f"{len(boxes)} boxes have {len(labels)} labels")
    if len(boxes) == 0:
        background = torch.full_like(locations[:, 0], -1, dtype=torch.int64)
        return background, locations.new_ones(len(locations), 4)
    point, stride = locations[:, None, :2], locations[:, None, 2]
    boxes = boxes.to(locations.dtype)
    corner, opposite = boxes[:, :2], boxes[:, 2:]
    distances = torch.cat([point - corner, opposite - point], dim=2)  # (L, N, 4)
    inside = distances.amin(dim=2) > 0
    offset = (point - (corner + opposite) / 2).abs().amax(dim=2)
    central = offset < CENTER_RADIUS * stride
    # Each level takes the boxes that its receptive field fits; the ends are open.
    reach = distances.amax(dim=2)
    fits = (reach >= 4 * stride) | (stride == stride.min())
    fits &= (reach < 8 * stride) | (stride == stride.max())

    area = (opposite - corner).prod(dim=1).expand_as(reach)
    area = area.where(inside & central & fits, float("inf"))
    smallest, index = area.min(dim=1)
    positive = smallest < float("inf")
    rows = torch.arange(len(index), device=index.device)
    return (
        labels[index].where(positive, -1),
        distances[rows, index].where(positive.unsqueeze(1), 1),
    )


def _centerness(distances: Tensor) -> Tensor:
    """Return how central locations are `(...)`: 1 in the middle, 0 on a side."""
    opposite = distances.roll(2, dims=-1)
    # The ratio of each pair of opposite sides appears twice: hence the fourth root.
    ratios = torch.minimum(distances, opposite) / torch.maximum(distances, opposite)
    return ratios.prod(dim=-1) ** 0.25


def _giou_loss(distances: Tensor, target: Tensor) -> Tensor:
    """Return 1 - GIoU `(...)` of two boxes around one location."""
    eps = torch.finfo(distances.dtype).eps
    shared = _area(torch.minimum(distances, target))
    hull = _area(torch.maximum(distances, target)).clamp(min=eps)
    union = (_area(distances) + _area(target) - shared).clamp(min=eps)
    return 1 - shared / union + (hull - union) / hull


def _area(distances: Tensor) -> Tensor:
    left, top, right, bottom = distances.unbind(dim=-1)
    return (left + right) * (top + bottom)
