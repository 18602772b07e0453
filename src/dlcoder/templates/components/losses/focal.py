"""Focal loss for multi-class logits.

    L = mean over valid positions of  -alpha_t (1 - p_t)^gamma log p_t
    p = softmax(logits)

`gamma = 0` without `alpha` is cross entropy. The mean is over the positions that are
not ignored, so that empty or padded regions do not dilute it. Use it where easy
examples dominate (dense detection, rare classes); on balanced data cross entropy trains
faster.

Paper: Lin et al., "Focal Loss for Dense Object Detection", 2017,
https://arxiv.org/abs/1708.02002
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class FocalLoss(nn.Module):
    """Softmax focal loss.

    Args:
        gamma: Focusing exponent, at least 0; larger values mute easy positions more.
        alpha: Weight of each class; `None` weighs all alike.
        ignore_index: Target value of positions that take no part.
    """

    alpha: Tensor | None

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        alpha: Sequence[float] | None = None,
        ignore_index: int = -100,
    ) -> None:
        super().__init__()
        if gamma < 0:
            raise ValueError(f"gamma must be at least 0, got {gamma}")
        self.gamma = gamma
        self.ignore_index = ignore_index
        if alpha is None:
            self.alpha = None
        else:
            self.register_buffer("alpha", torch.as_tensor(alpha))

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss in float32 or wider.

        Args:
            logits: Class scores `(B, C, ...)`.
            target: Class indices `(B, ...)`, int64.

        Raises:
            ValueError: The target has another shape than the logits of one class.
            RuntimeError: A target is neither a class nor `ignore_index`.
        """
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        valid = target != self.ignore_index
        index = target.where(valid, 0)
        ce = -target_log_prob(logits, index).where(valid, 0)
        # 1 - exp(-ce) loses all digits for small ce, and its power has an infinite
        # slope at 0 when gamma < 1.
        miss = -torch.expm1(-ce)
        loss = miss.clamp_min(torch.finfo(miss.dtype).tiny) ** self.gamma * ce
        if self.alpha is not None:
            loss = loss * self.alpha.to(loss.dtype)[index]
        return loss.sum() / valid.sum().clamp_min(1)


def target_log_prob(logits: Tensor, target: Tensor) -> Tensor:
    """Return log softmax(logits) of the target `(B, ...)`, keeping nothing as large.

    Args:
        logits: Class scores `(B, C, ...)`.
        target: Class indices `(B, ...)`, int64.

    Raises:
        ValueError: The target has another shape than the logits of one class.
        RuntimeError: A target is not a class.
    """
    if target.shape != logits[:, 0].shape:
        raise ValueError(
            f"shapes do not fit: {tuple(logits.shape)} and {tuple(target.shape)}"
        )
    log_prob: Tensor = _TargetLogProb.apply(  # type: ignore[no-untyped-call]
        logits, target.unsqueeze(1)
    )
    return log_prob


class _TargetLogProb(torch.autograd.Function):
    """A log-softmax at one class, whose gradient is computed in one buffer."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, logits: Tensor, index: Tensor
    ) -> Tensor:
        ctx.save_for_backward(logits, index)
        return logits.log_softmax(dim=1).gather(1, index).squeeze(1)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: torch.autograd.function.FunctionCtx, *grad_outputs: Tensor
    ) -> tuple[Tensor, None]:
        logits, index = ctx.saved_tensors  # type: ignore[attr-defined]
        upstream = grad_outputs[0].unsqueeze(1)
        grad = logits.softmax(dim=1).mul_(-upstream)
        return grad.scatter_add_(1, index, upstream), None
