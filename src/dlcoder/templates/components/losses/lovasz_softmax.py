"""Lovász-softmax loss: a convex surrogate of 1 - mean IoU.

    L = mean over present classes c of  < e_c, g(e_c) >,   e_c = sorted |t_c - p_c|
    g = gradient of the Lovász extension of the Jaccard loss

For hard predictions it equals 1 - mean IoU over the classes present in the target. It
is computed over the whole batch, so the loss of a batch is not the mean over its
images: accumulation and data parallelism change it slightly. It sorts all pixels once
per class, and fine-tunes a model trained with cross entropy better than it trains one.

Paper: Berman et al., 2018, https://arxiv.org/abs/1705.08790
"""

import torch
from torch import Tensor, nn


class LovaszSoftmaxLoss(nn.Module):
    """Lovász-softmax over the classes present in the batch.

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
        if target.shape != logits[:, 0].shape:
            raise ValueError(
                f"shapes do not fit: {tuple(logits.shape)} and {tuple(target.shape)}"
            )
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        probs = logits.softmax(dim=1).flatten(2)
        valid = (target != self.ignore_index).flatten(1)
        index = target.flatten(1).where(valid, 0)
        truth = torch.zeros_like(probs, dtype=torch.bool)
        truth.scatter_(1, index.unsqueeze(1), valid.unsqueeze(1))
        # An error is p, or 1 - p of the true class: the loss is linear in both.
        weights = _weights(probs.detach(), truth, valid)
        errors = torch.where(truth, 1 - probs, probs)
        present = truth.any(dim=2).any(dim=0).sum()
        return (errors * weights).sum() / present.clamp_min(1)


@torch.no_grad()
def _weights(probs: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Return what the error of each pixel and class `(B, C, N)` costs."""
    weights = torch.zeros_like(probs)
    for index in range(probs.shape[1]):
        hit = truth[:, index].flatten()
        p = probs[:, index].flatten()
        # Ignored pixels have error 0, sort last, and leave every Jaccard before them
        # unchanged.
        order = _descending(torch.where(hit, 1 - p, p) * valid.flatten())
        growth = torch.empty_like(p).scatter_(0, order, _jaccard_growth(hit[order], p))
        weights[:, index] = growth.view_as(valid) * (valid & hit.any())
    return weights


def _descending(errors: Tensor) -> Tensor:
    """Return the order of errors `(N,)`, none of them negative, from the highest."""
    # The bits of such floats are in the order of the floats, and integers sort faster.
    bits = errors.view(torch.int32 if errors.dtype == torch.float32 else torch.int64)
    order: Tensor = (-bits).argsort()
    return order


def _jaccard_growth(hit: Tensor, like: Tensor) -> Tensor:
    """Return how the Jaccard loss grows as pixels `(N,)` turn wrong in order."""
    hit = hit.to(like.dtype)
    total = hit.sum()
    intersection = total - hit.cumsum(dim=0)
    union = total + (1 - hit).cumsum(dim=0)
    # The difference of two ratios, written without one: a missed pixel leaves the union
    # as it is, a false one adds to it.
    return torch.where(
        hit > 0, 1 / union, intersection / (union * (union - 1).clamp_min(1))
    )
