"""Soft Dice loss for segmentation.

    L = mean over images and classes of
        1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth),   p = softmax(logits)

Sums run over the valid pixels of one image and one class. A class that an image lacks
is left out of the mean unless `smooth > 0`, where predicting none of it scores a loss
of 0. Being a ratio of sums, the loss of a batch equals the mean over its images, but
not the mean over crops of an image. Combine it with cross entropy: alone its gradient
is noisy early in training.

Paper: Milletari et al., "V-Net", 2016, https://arxiv.org/abs/1606.04797
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class DiceLoss(nn.Module):
    """Soft Dice over classes, per image.

    Args:
        smooth: Added to numerator and denominator; 0 leaves absent classes out.
        ignore_index: Target value of pixels that take no part.
        include_background: Whether class 0 counts.
    """

    def __init__(
        self,
        *,
        smooth: float = 0.0,
        ignore_index: int = 255,
        include_background: bool = True,
    ) -> None:
        super().__init__()
        self.smooth = smooth
        self.ignore_index = ignore_index
        self.first_class = 0 if include_background else 1

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
        total = predicted + truth
        # Without smoothing a class that is absent says nothing.
        scored = truth > 0
        if self.smooth > 0:
            scored = scored.any(dim=1, keepdim=True).expand_as(truth)
        eps = torch.finfo(total.dtype).eps
        score = (2 * hits + self.smooth) / (total + self.smooth).clamp_min(eps)
        loss = 1 - score
        loss, scored = loss[:, self.first_class :], scored[:, self.first_class :]
        return (loss * scored).sum() / scored.sum().clamp_min(1)


def class_sums(
    logits: Tensor, target: Tensor, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Sum up what overlap losses consist of, over the valid pixels of an image.

    Args:
        logits: Class scores `(B, C, H, W)`.
        target: Class indices `(B, H, W)`, int64.
        ignore_index: Target value of pixels that take no part.

    Returns:
        For every image and class `(B, C)`, in float32 or wider: the probability where
        it is the target, its probability everywhere, and the number of its pixels.

    Raises:
        ValueError: The target has another shape than the logits of one class.
        RuntimeError: A target is neither a class nor `ignore_index`.
    """
    if target.shape != logits[:, 0].shape:
        raise ValueError(
            f"shapes do not fit: {tuple(logits.shape)} and {tuple(target.shape)}"
        )
    # Half precision overflows when it sums more than 65,504 pixels.
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    valid = (target != ignore_index).flatten(1)
    index = target.flatten(1).where(valid, 0)
    hits, predicted = _ClassSums.apply(  # type: ignore[no-untyped-call]
        logits.flatten(2), index, valid
    )
    truth = _sum_by_class(valid.to(logits.dtype), index, logits.shape[1])
    return hits, predicted, truth


class _ClassSums(torch.autograd.Function):
    """Sums of softmax probabilities, whose gradient needs one buffer beside them."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        logits: Tensor,
        index: Tensor,
        valid: Tensor,
    ) -> tuple[Tensor, Tensor]:
        probs = logits.softmax(dim=1).mul_(valid.unsqueeze(1))
        hit = probs.gather(1, index.unsqueeze(1)).squeeze(1)
        ctx.save_for_backward(probs, index, hit)
        return _sum_by_class(hit, index, probs.shape[1]), probs.sum(dim=2)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: torch.autograd.function.FunctionCtx, *grad_outputs: Tensor
    ) -> tuple[Tensor, None, None]:
        probs, index, hit = ctx.saved_tensors  # type: ignore[attr-defined]
        for_hits, for_predicted = grad_outputs
        at_target = hit * for_hits.gather(1, index)
        # p (g - sum p g), where g is what a pixel's probabilities are worth.
        mean = (for_predicted.unsqueeze(1) @ probs).squeeze(1) + at_target
        grad = for_predicted.unsqueeze(2) - mean.unsqueeze(1)
        grad.mul_(probs)
        grad.scatter_add_(1, index.unsqueeze(1), at_target.unsqueeze(1))
        return grad, None, None


def _sum_by_class(values: Tensor, index: Tensor, classes: int) -> Tensor:
    """Add values `(B, N)` up by class, `(B, C)`, in parts that lose no digits."""
    parts = max(1, math.isqrt(values.shape[1]))
    padding = -values.shape[1] % parts
    values, index = (
        F.pad(x, (0, padding)).unflatten(1, (parts, -1)) for x in (values, index)
    )
    sums = values.new_zeros(len(values), parts, classes)
    return sums.scatter_add_(2, index, values).sum(dim=1)
