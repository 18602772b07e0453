"""U-Net for segmentation: the decoder sees the details of the encoder.

Shapes: images (B, 3, H, W) of any size of at least 16, logits (B, C, H, W).
Parameters at C = 2 and width 64: 31,037,698.
Reference: Ronneberger et al., arXiv:1505.04597; with padding and batch norm, so that
the output has the size of the input.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class UNet(nn.Module):
    """A U-Net of four levels.

    Args:
        num_classes: The number of classes, C.
        width: Channels of the first level; each of the four next has twice as many.
    """

    def __init__(self, num_classes: int, *, width: int = 64) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(5)]
        self.stem = _double_conv(3, width)
        self.down = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2), _double_conv(narrow, wide))
            for narrow, wide in pairwise(widths)
        )
        self.up = nn.ModuleList(
            Up(wide, narrow) for wide, narrow in pairwise(reversed(widths))
        )
        self.classifier = nn.Conv2d(width, num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, C, H, W) for images (B, 3, H, W)."""
        levels = [self.stem(images)]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = levels.pop()
        for up in self.up:
            x = up(x, levels.pop())
        logits: Tensor = self.classifier(x)
        return logits


class Up(nn.Module):
    """Doubles the resolution and joins the features of the encoder's level."""

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(wide, narrow, 2, stride=2)
        self.join = _double_conv(2 * narrow, narrow)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map (B, wide, h, w) and (B, narrow, H, W) to (B, narrow, H, W)."""
        x = self.enlarge(x)
        # An odd side lost its last row or column on the way down.
        x = F.pad(x, (0, skip.shape[3] - x.shape[3], 0, skip.shape[2] - x.shape[2]))
        out: Tensor = self.join(torch.cat([skip, x], dim=1))
        return out


def _double_conv(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )
