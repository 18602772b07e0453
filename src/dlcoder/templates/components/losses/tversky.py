"""Tversky loss: segmentation where a miss and a false alarm cost differently.

    L = mean over images and classes of  (1 - TI)^(1 / gamma)
    TI = TP / (TP + alpha FP + beta FN)

`alpha = beta = 0.5` is Dice, `alpha = beta = 1` is Jaccard; `beta > alpha` buys recall.
`gamma > 1` (the focal form) turns the attention to classes that are segmented badly.
Classes that an image lacks are left out of the mean.

Papers: Salehi et al., 2017, https://arxiv.org/abs/1706.05721; Abraham and Khan, 2018,
https://arxiv.org/abs/1810.07842
"""

import torch
from torch import Tensor, nn

from dlcoder.templates.components.losses.dice import class_sums


class TverskyLoss(nn.Module):
    """Tversky loss over classes, per image.

    Args:
        alpha: Cost of false positives.
        beta: Cost of false negatives.
        gamma: Focal exponent's inverse, at least 1; 1 is the plain loss.
        ignore_index: Target value of pixels that take no part.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.3,
        beta: float = 0.7,
        gamma: float = 1.0,
        ignore_index: int = 255,
    ) -> None:
        super().__init__()
        if alpha < 0 or beta < 0 or alpha + beta == 0:
            raise ValueError(
                f"alpha, beta must be non-negative and not both 0: {alpha}, {beta}"
            )
        if gamma < 1:
            raise ValueError(f"gamma must be at least 1, got {gamma}")
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
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
        false_alarms, misses = predicted - hits, truth - hits
        present = truth > 0
        eps = torch.finfo(hits.dtype).eps
        denominator = hits + self.alpha * false_alarms + self.beta * misses
        miss = 1 - hits / denominator.clamp_min(eps)
        # The root has an infinite slope at a perfect score.
        loss = miss.clamp_min(eps) ** (1 / self.gamma) if self.gamma > 1 else miss
        return (loss * present).sum() / present.sum().clamp_min(1)
