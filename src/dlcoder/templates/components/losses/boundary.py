"""Boundary loss for segmentation of thin or small structures.

    L = mean over valid pixels and classes of  phi_c(x) * p_c(x),   p = softmax(logits)

`phi_c` is the signed Euclidean distance to the boundary of class c: positive outside,
negative inside, 0 on the boundary's inner pixels. It is a function of the target alone:
compute it in the data pipeline with `signed_distance`. The loss is negative for a good
prediction and flat for a wrong one far away: add it to Dice or cross entropy with a
weight that grows during training.

Paper: Kervadec et al., 2019, https://arxiv.org/abs/1812.07032
"""

import torch
from torch import Tensor, nn


class BoundaryLoss(nn.Module):
    """Mean product of softmax probabilities and signed distances.

    Args:
        first_class: Classes below it are left out; 1 leaves out the background, whose
            distances mirror the rest.
        ignore_index: Target value of pixels that take no part.
    """

    def __init__(self, *, first_class: int = 1, ignore_index: int = 255) -> None:
        super().__init__()
        self.first_class = first_class
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor, distance: Tensor) -> Tensor:
        """Return the scalar loss in float32 or wider; it may be negative.

        Args:
            logits: Class scores `(B, C, H, W)`.
            target: Class indices `(B, H, W)`, int64; says which pixels to ignore.
            distance: Signed distances in pixels `(B, C, H, W)`.

        Raises:
            ValueError: The shapes do not fit, and would broadcast without a word.
        """
        if distance.shape != logits.shape or target.shape != logits[:, 0].shape:
            shapes = [tuple(x.shape) for x in (logits, target, distance)]
            raise ValueError(f"shapes do not fit: {shapes}")
        probs = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(
            dim=1
        )
        valid = (target != self.ignore_index).unsqueeze(1)
        product = probs[:, self.first_class :] * distance[:, self.first_class :].to(
            probs.dtype
        )
        # where, not a product: a distance far from everything may be infinite.
        return product.where(valid, 0).sum() / (
            valid.sum() * product.shape[1]
        ).clamp_min(1)


def signed_distance(target: Tensor, num_classes: int) -> Tensor:
    """Return the signed distance in pixels of every pixel to every class.

    A target `(H, W)` gives maps `(C, H, W)` in float32.

    Outside a class, the distance to its nearest pixel; inside, one minus the distance
    to the nearest pixel without it. A class that is absent or everywhere has the map 0.
    """
    maps = torch.zeros(num_classes, *target.shape, device=target.device)
    for index in range(num_classes):
        inside = target == index
        if inside.any() and not inside.all():
            maps[index] = torch.where(
                inside, 1 - _distance_to(~inside), _distance_to(inside)
            )
    return maps


def _distance_to(mask: Tensor) -> Tensor:
    """Return the Euclidean distance to the nearest true pixel, `(H, W)`; exact."""
    height, width = mask.shape
    far = height + width
    row = torch.arange(height, device=mask.device).unsqueeze(1)
    # The nearest true pixel of the own column is the last above or the first below.
    above = row.where(mask, -far).cummax(dim=0).values
    below = row.where(mask, 2 * far).flip(0).cummin(dim=0).values.flip(0)
    along = torch.minimum(row - above, below - row).float().square()
    squared = along.clone()
    for shift in range(1, width):
        if shift**2 >= squared.max():
            break  # no pixel can be nearer by a column that far away
        left, right = squared[:, shift:], squared[:, :-shift]
        torch.minimum(left, along[:, :-shift] + shift**2, out=left)
        torch.minimum(right, along[:, shift:] + shift**2, out=right)
    return squared.sqrt()
