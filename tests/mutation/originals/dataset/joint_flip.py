"""A transform of image and mask together."""

import torch
from torch import Tensor


class RandomFlipCrop:
    """Flips both and cuts the same window out of both."""

    def __init__(self, size: int = 12) -> None:
        self.size = size

    def __call__(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Image (3, H, W) and mask (H, W) to a window of `size`."""
        if torch.rand(()) < 0.5:
            image, mask = image.flip(-1), mask.flip(-1)
        top = int(torch.randint(0, image.shape[-2] - self.size + 1, ()))
        left = int(torch.randint(0, image.shape[-1] - self.size + 1, ()))
        rows, columns = slice(top, top + self.size), slice(left, left + self.size)
        return image[:, rows, columns], mask[rows, columns]
