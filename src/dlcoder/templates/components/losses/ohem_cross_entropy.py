"""Cross entropy on the hardest pixels only (online hard example mining).

    L = mean of the cross entropy over the pixels whose target probability is below
        `threshold`, or over the `min_kept` hardest where those are fewer

`min_kept` is a share of the batch's pixels, so that it means the same at every crop
size. Late in training, noisy labels are the hardest pixels: do not use it on dirty
annotations.

Paper: Shrivastava et al., 2016, https://arxiv.org/abs/1604.03540
"""

import math

import torch
from torch import Tensor, nn

from dlcoder.templates.components.losses.focal import target_log_prob


class OhemCrossEntropyLoss(nn.Module):
    """Cross entropy over the hardest valid pixels.

    Args:
        threshold: Pixels whose target probability is below it are hard, in (0, 1].
        min_kept: Least share of the pixels to keep, in (0, 1]; 1 is plain cross
            entropy.
        ignore_index: Target value of pixels that take no part.
    """

    def __init__(
        self,
        *,
        threshold: float = 0.7,
        min_kept: float = 0.0625,
        ignore_index: int = 255,
    ) -> None:
        super().__init__()
        if not 0 < threshold <= 1 or not 0 < min_kept <= 1:
            raise ValueError(
                f"threshold and min_kept must lie in (0, 1]: {threshold}, {min_kept}"
            )
        self.hard_loss = -math.log(threshold)
        self.min_kept = min_kept
        self.ignore_index = ignore_index

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
        ce = -target_log_prob(logits, target.where(valid, 0)).where(valid, 0)
        ce, valid = ce.flatten(), valid.flatten()
        if ce.numel() == 0:
            return ce.sum()
        kept_count = max(1, round(self.min_kept * ce.numel()))
        least_kept_loss = ce.detach().topk(kept_count, sorted=False).values.amin()
        keep = valid & (ce.detach() >= least_kept_loss.clamp_max(self.hard_loss))
        return (ce * keep).sum() / keep.sum().clamp_min(1)
