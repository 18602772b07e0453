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
            RuntimeError: An index is neither below `num_regions` nor `ignore_index`.
        """
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        valid = (regions != self.ignore_index).flatten(1).unsqueeze(1)
        log_probs = logits.log_softmax(dim=1).flatten(2).where(valid, 0)
        index = regions.flatten(1).unsqueeze(1).where(valid, 0).expand_as(log_probs)

        zeros = log_probs.new_zeros(*log_probs.shape[:2], self.num_regions)
        size = zeros.scatter_add(2, index, valid.to(zeros.dtype).expand_as(log_probs))
        mean = zeros.scatter_add(2, index, log_probs.exp() * valid) / size.clamp_min(1)
        mean_log = zeros.scatter_add(2, index, log_probs) / size.clamp_min(1)

        eps = torch.finfo(mean.dtype).tiny
        divergence = mean * (mean.clamp_min(eps).log() - mean_log)
        return (divergence * size).sum() / valid.sum().clamp_min(1)
