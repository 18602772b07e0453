"""Peak signal-to-noise ratio of restored images.

    PSNR = 10 log10( range^2 / MSE )

Given as the mean over images of each image's PSNR, the convention of super-resolution
and restoration; the PSNR of the dataset's MSE is lower. A perfect image would be
infinitely good: it counts as `ceiling`.

Shapes: images (B, C, H, W).
"""

import torch
from torch import Tensor


class PSNRSums:
    """The sum of the images' PSNR, and their number.

    Args:
        data_range: Largest minus smallest possible value of a pixel.
        ceiling: The most that one image counts, in dB.
        device: Where batches come from.
    """

    def __init__(
        self,
        *,
        data_range: float = 1.0,
        ceiling: float = 100.0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.data_range = data_range
        self.ceiling = ceiling
        self.sums = torch.zeros(2, dtype=torch.float64, device=device)

    @torch.no_grad()
    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add one batch of images (B, C, H, W), and what they should be.

        Raises:
            ValueError: The shapes differ, and would broadcast without a word.
        """
        if prediction.shape != target.shape:
            raise ValueError(
                f"shapes differ: {tuple(prediction.shape)} and {tuple(target.shape)}"
            )
        error = (prediction.double() - target.double()).square().flatten(1).mean(dim=1)
        decibels = 10 * torch.log10(self.data_range**2 / error)
        self.sums[0] += decibels.clamp(max=self.ceiling).sum()
        self.sums[1] += len(target)


def psnr(sums: Tensor) -> float:
    """Return the mean PSNR in dB of sums (2,), added up over ranks."""
    total, images = sums.tolist()
    return total / images if images else float("nan")
