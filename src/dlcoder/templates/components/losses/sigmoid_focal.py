"""Focal loss for independent binary labels.

    L = mean of  -alpha_t (1 - p_t)^gamma log p_t,   p = sigmoid(logit)
    p_t = p for a positive, 1 - p for a negative

`alpha` weighs positives and `1 - alpha` negatives. Dense detectors divide the sum by
the number of positives; pass that number as `normalizer`. Use softmax focal loss where
the classes exclude each other.

Paper: Lin et al., "Focal Loss for Dense Object Detection", 2017,
https://arxiv.org/abs/1708.02002
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SigmoidFocalLoss(nn.Module):
    """Binary focal loss on logits.

    Args:
        gamma: Focusing exponent, at least 0.
        alpha: Weight of positives in [0, 1]; `None` weighs both alike with 1.
    """

    def __init__(self, *, gamma: float = 2.0, alpha: float | None = 0.25) -> None:
        super().__init__()
        if gamma < 0:
            raise ValueError(f"gamma must be at least 0, got {gamma}")
        if alpha is not None and not 0 <= alpha <= 1:
            raise ValueError(f"alpha must lie in [0, 1], got {alpha}")
        self.gamma = gamma
        self.alpha = alpha

    def forward(
        self, logits: Tensor, target: Tensor, normalizer: Tensor | None = None
    ) -> Tensor:
        """Return the scalar loss in float32 or wider.

        Args:
            logits: Scores of any shape.
            target: Labels in [0, 1], the same shape.
            normalizer: What to divide the sum by, such as the number of positives;
                `None` takes the mean.
        """
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        target = target.to(logits.dtype)
        bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        # log(1 - p_t) without forming 1 - p_t, which has no digits left at saturated
        # logits: log p_t and log(1 - p_t) differ by the logit.
        log_miss = logits * (1 - 2 * target) - bce
        loss = torch.exp(self.gamma * log_miss) * bce
        if self.alpha is not None:
            loss = loss * (self.alpha * target + (1 - self.alpha) * (1 - target))
        if normalizer is None:
            return loss.sum() / max(loss.numel(), 1)
        return loss.sum() / normalizer.clamp_min(1)
