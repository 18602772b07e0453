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

import math

import torch
from torch import Tensor, nn


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
        log_probs = logits.movedim(1, -1).flatten(1, 2).log_softmax(dim=2)  # (B, N, C)
        valid = (regions != self.ignore_index).flatten(1)
        # Looked up, so that an index out of range is an error.
        index = torch.arange(self.num_regions, device=regions.device)
        index = index.expand(len(regions), -1).gather(
            1, regions.flatten(1).where(valid, 0)
        )
        # What belongs to no region goes to one of its own, which is left out.
        index = index.where(valid, self.num_regions)
        size = self._sums(valid.unsqueeze(2).to(log_probs.dtype), index).clamp_min(1)
        mean = self._sums(log_probs.exp(), index) / size
        mean_log = self._sums(log_probs, index) / size
        eps = torch.finfo(mean.dtype).tiny
        divergence = mean * (mean.clamp_min(eps).log() - mean_log)
        # Of pixels that agree, it is what rounding leaves of 0.
        divergence = divergence.sum(dim=2, keepdim=True).clamp_min(0) * size
        return divergence.sum() / valid.sum().clamp_min(1)

    def _sums(self, values: Tensor, index: Tensor) -> Tensor:
        """Add values `(B, N, C)` up by region `(B, N)`: `(B, R, C)`."""
        batch, pixels, classes = values.shape
        count = self.num_regions + 1
        # In parts: a running sum of a million pixels would lose their last digits. Of
        # many regions none is large, and the parts must not outgrow the pixels.
        parts = max(1, min(math.isqrt(pixels), pixels // count))
        part = torch.arange(pixels, device=index.device) * parts // max(pixels, 1)
        image = torch.arange(batch, device=index.device).unsqueeze(1)
        place = (index + (part + image * parts) * count).flatten()
        sums = values.new_zeros(batch * parts * count, classes)
        sums = sums.scatter_add(
            0, place.unsqueeze(1).expand(-1, classes), values.flatten(0, 1)
        )
        return sums.view(batch, parts, count, classes).sum(dim=1)[:, :-1]
