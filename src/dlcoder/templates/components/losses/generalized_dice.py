"""Generalized Dice loss: one Dice over all classes, rare ones weighed up.

    L = mean over images of  1 - 2 sum_c w_c sum(p t) / sum_c w_c (sum(p) + sum(t))
    w_c = 1 / sum(t)^2

Rare classes count as much as common ones. Absent classes would have an infinite weight:
as in the authors' code, they get the largest finite weight of the image, so that
predicting them costs. Very unbalanced images make the gradient jump; add cross entropy.

Paper: Sudre et al., 2017, https://arxiv.org/abs/1707.03237
"""

import torch
from torch import Tensor, nn

from dlcoder.templates.components.losses.dice import class_sums


class GeneralizedDiceLoss(nn.Module):
    """Generalized Dice, per image.

    Args:
        ignore_index: Target value of pixels that take no part.
    """

    def __init__(self, *, ignore_index: int = 255) -> None:
        super().__init__()
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss in [0, 1], in float32 or wider.

        Args:
            logits: Class scores `(B, C, H, W)`.
            target: Class indices `(B, H, W)`, int64.

        Raises:
            ValueError: The target has another shape than the logits of one class.
            RuntimeError: A target is neither a class nor `ignore_index`.
        """
        hits, predicted, truth = class_sums(logits, target, self.ignore_index)
        weight = torch.where(truth > 0, truth.clamp_min(1) ** -2, 0)
        weight = torch.where(truth > 0, weight, weight.amax(dim=1, keepdim=True))

        total = (weight * (predicted + truth)).sum(dim=1)
        score = 2 * (weight * hits).sum(dim=1) / total.clamp_min(1e-30)
        scored = truth.any(dim=1)
        return ((1 - score) * scored).sum() / scored.sum().clamp_min(1)
