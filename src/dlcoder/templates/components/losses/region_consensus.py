"""Region consensus loss: pixels of a region agree with the region's mean prediction.

    L = sum over regions r and pixels i in r of  KL(mean_r || p_i)  / number of pixels
    p = softmax(logits),  mean_r = mean of p over r

A region is the set of valid pixels of one image that share a value in `regions`:
superpixels, instances, or the mask itself. It asks for agreement, not for a class, and
so needs no label beyond the partition; the constant prediction is a minimum. Add it to
a supervised loss with a small weight.

`KL(mean || p_i)` averaged over a region is `sum_c mean_c (log mean_c - mean of log
p_c)`: two sums per region suffice.
"""

import torch
from torch import Tensor, nn

from dlcoder.templates.components.losses.dice import sum_by_index


class RegionConsensusLoss(nn.Module):
    """Divergence of the pixels of each region from their mean prediction.

    Args:
        num_regions: One more than the largest region index.
        ignore_index: Value of pixels that belong to no region.
    """

    def __init__(self, num_regions: int, *, ignore_index: int = 255) -> None:
        super().__init__()
        if num_regions < 1:
            raise ValueError(f"num_regions must be at least 1, got {num_regions}")
        self.num_regions = num_regions
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, regions: Tensor) -> Tensor:
        """Return the scalar loss, at least 0, in float32 or wider.

        Args:
            logits: Class scores `(B, C, H, W)`.
            regions: Region indices `(B, H, W)`, int64, or a mask of classes.

        Raises:
            ValueError: The regions have another shape than the logits of one class.
            RuntimeError: An index is neither below `num_regions` nor `ignore_index`.
        """
        if regions.shape != logits[:, 0].shape:
            raise ValueError(
                f"shapes do not fit: {tuple(logits.shape)} and {tuple(regions.shape)}"
            )
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        valid = (regions != self.ignore_index).flatten(1)
        index = regions.flatten(1).where(valid, 0)
        log_probs = logits.log_softmax(dim=1).flatten(2).where(valid.unsqueeze(1), 0)

        size = sum_by_index(valid.to(logits.dtype), index, self.num_regions)  # (B, R)
        probs = log_probs.exp() * valid.unsqueeze(1)
        mean, mean_log = (
            self._sums(values, index) / size.clamp_min(1).unsqueeze(1)
            for values in (probs, log_probs)
        )
        eps = torch.finfo(mean.dtype).tiny
        divergence = (mean * (mean.clamp_min(eps).log() - mean_log)).sum(dim=1)
        # Of pixels that agree, it is what rounding leaves of 0.
        divergence = divergence.clamp_min(0) * size
        return divergence.sum() / valid.sum().clamp_min(1)

    def _sums(self, values: Tensor, index: Tensor) -> Tensor:
        """Add values `(B, C, N)` up by region `(B, N)`: `(B, C, R)`."""
        index = index.unsqueeze(1).expand_as(values).flatten(0, 1)
        sums = sum_by_index(values.flatten(0, 1), index, self.num_regions)
        return sums.view(*values.shape[:2], self.num_regions)
