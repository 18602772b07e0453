"""A small UNet."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def double(inside: int, outside: int) -> nn.Sequential:
    """Two convolutions with group norm."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1), nn.GroupNorm(4, outside), nn.ReLU(),
        nn.Conv2d(outside, outside, 3, padding=1), nn.GroupNorm(4, outside), nn.ReLU(),
    )  # fmt: skip


class UNet(nn.Module):
    """Images (B, 3, H, W) to logits (B, num_classes, H, W)."""

    def __init__(self, num_classes: int, in_channels: int = 3, width: int = 8) -> None:
        super().__init__()
        self.down1 = double(in_channels, width)
        self.down2 = double(width, 2 * width)
        self.middle = double(2 * width, 4 * width)
        self.up2 = double(4 * width + 2 * width, 2 * width)
        self.up1 = double(2 * width + width, width)
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the pixel logits."""
        first = self.down1(x)
        second = self.down2(F.max_pool2d(first, 2))
        deep = self.middle(F.max_pool2d(second, 2))
        deep = F.interpolate(deep, size=second.shape[2:], mode="nearest")
        second = self.up2(torch.cat([deep, second], dim=1))
        second = F.interpolate(second, size=first.shape[2:], mode="nearest")
        return self.head(self.up1(torch.cat([second, first], dim=1)))
