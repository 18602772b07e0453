"""Structural similarity of restored images (SSIM), over a whole dataset.

    SSIM = mean over images of each image's SSIM, of Gaussian windows of 11 x 11

Windows lie inside of the image, as in the authors' code; padding would give other
values. The data range belongs to the score: report it.

Shapes: images (B, C, H, W) with sides of at least 11.
Reference: Wang et al., 2004, https://doi.org/10.1109/TIP.2003.819861
"""

import torch
from torch import Tensor

from dlcoder.templates.components.losses.ssim import SSIMLoss


class SSIMSums:
    """The sum of the images' SSIM, and their number.

    Args:
        data_range: Largest minus smallest possible value of a pixel.
        device: Where batches come from.
    """

    def __init__(
        self, *, data_range: float = 1.0, device: torch.device | str = "cpu"
    ) -> None:
        self.loss = SSIMLoss(data_range=data_range).to(device)
        self.sums = torch.zeros(2, dtype=torch.float64, device=device)

    @torch.no_grad()
    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add one batch of images (B, C, H, W), and what they should be."""
        # Images of a batch have one size: the mean over its windows is theirs.
        mean = 1 - self.loss(prediction.double(), target.double())
        self.sums[0] += mean * len(target)
        self.sums[1] += len(target)


def structural_similarity(sums: Tensor) -> float:
    """Return the mean SSIM of sums (2,), added up over ranks; NaN without images."""
    total, images = sums.tolist()
    return total / images if images else float("nan")
