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
            RuntimeError: A target is neither a class nor `ignore_index`.
        """
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        valid = (target != self.ignore_index).flatten()
        index = target.flatten().where(valid, 0).unsqueeze(0)
        probs = logits.softmax(dim=1).transpose(0, 1).flatten(1)
        truth = torch.zeros_like(probs).scatter(0, index, 1.0) * valid
        # Ignored pixels have error 0, sort last, and leave every Jaccard before them
        # unchanged.
        errors = (truth - probs).abs() * valid

        errors, order = errors.sort(dim=1, descending=True)
        present = truth.sum(dim=1) > 0
        loss = (errors * _jaccard_gradient(truth.gather(1, order))).sum(dim=1)
        return (loss * present).sum() / present.sum().clamp_min(1)


def _jaccard_gradient(truth: Tensor) -> Tensor:
    """Return the growth of the Jaccard loss as pixels `(C, N)` turn wrong in order."""
    total = truth.sum(dim=1, keepdim=True)
    intersection = total - truth.cumsum(dim=1)
    union = total + (1 - truth).cumsum(dim=1)
    # The difference of two ratios, written without one: a missed pixel leaves the union
    # as it is, a false one adds to it.
    return torch.where(
        truth > 0, 1 / union, intersection / (union * (union - 1).clamp_min(1))
    )
