"""Augmentation of one image, on tensors, with randomness from a given generator.

Shapes: image (3, H, W), float.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


class RandomAugment:
    """Random changes that leave a class what it is.

    Args:
        shift: The largest shift in each direction, as a part of the image's side.
        flip: Whether half of the images are mirrored left to right. Not for classes
            that are told apart by handedness, such as digits or traffic signs.
        jitter: The largest relative change of contrast, and of brightness in standard
            deviations. 0 for none.
        erase: The side of the square that is blanked, as a part of the image's side.
            0 for none. After "Random Erasing Data Augmentation", arXiv:1708.04896.
    """

    def __init__(
        self,
        *,
        shift: float = 0.125,
        flip: bool = True,
        jitter: float = 0.0,
        erase: float = 0.0,
    ) -> None:
        self.shift = shift
        self.flip = flip
        self.jitter = jitter
        self.erase = erase

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """Return an augmented copy of `image`."""
        image = _shift(image, self.shift, generator)
        if self.flip and _uniform(generator) < 0.5:
            image = image.flip(-1)
        if self.jitter > 0:
            image = _jitter(image, self.jitter, generator)
        if self.erase > 0:
            image = _erase(image, self.erase, generator)
        return image


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))


def _shift(image: Tensor, part: float, generator: torch.Generator) -> Tensor:
    height, width = image.shape[-2:]
    pad = round(part * max(height, width))
    padded = F.pad(image, (pad, pad, pad, pad))
    top = int(_uniform(generator) * (2 * pad + 1))
    left = int(_uniform(generator) * (2 * pad + 1))
    return padded[..., top : top + height, left : left + width]


def _jitter(image: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    contrast = 1 + amount * (2 * _uniform(generator) - 1)
    brightness = amount * (2 * _uniform(generator) - 1)
    return image * contrast + brightness


def _erase(image: Tensor, part: float, generator: torch.Generator) -> Tensor:
    height, width = image.shape[-2:]
    side = max(1, round(part * min(height, width)))
    top = int(_uniform(generator) * (height - side + 1))
    left = int(_uniform(generator) * (width - side + 1))
    image = image.clone()
    image[..., top : top + side, left : left + side] = 0
    return image
