"""A fixed network of random weights: features of images without any training.

Features are mean activations of two layers, which depend on the colors, frequencies and
directions in an image. The weights are the same everywhere, so distances between
features can be compared across runs and machines. They know nothing of objects: where
that matters, compare by a network that was trained on many images.

Shapes: images (B, 3, H, W), H and W of 8 or more, features (B, 64).
Reference: Naeem et al., arXiv:2002.09797, who compare generated images this way.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RandomFeatures(nn.Module):
    """Two strided convolutions, which no optimizer sees.

    Args:
        seed: What the weights are drawn from.
    """

    dim = 64

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first: Tensor
        self.second: Tensor
        self.register_buffer("first", _filters(32, 3, 5, generator))
        self.register_buffer("second", _filters(32, 32, 3, generator))

    def forward(self, images: Tensor) -> Tensor:
        """Return features (B, 64) of images (B, 3, H, W)."""
        first = F.conv2d(images, self.first, stride=2).relu()
        second = F.conv2d(first, self.second, stride=2).relu()
        return torch.cat([first.mean(dim=(2, 3)), second.mean(dim=(2, 3))], dim=1)


def _filters(out: int, channels: int, side: int, generator: torch.Generator) -> Tensor:
    """Return weights (out, channels, side, side) that keep the variance (He et al.)."""
    weights = torch.randn(out, channels, side, side, generator=generator)
    return weights * math.sqrt(2 / (channels * side * side))
