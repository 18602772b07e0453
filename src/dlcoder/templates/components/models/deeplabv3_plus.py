"""DeepLabV3+: segmentation by dilated convolutions at several rates, and a decoder.

    low, high = backbone(images);   logits = decode([low, enlarge(pyramid(high))])

The backbone is a ResNet whose last stage is dilated instead of strided, so that `high`
has a sixteenth of the resolution and `low` a quarter.

Shapes: images (B, 3, H, W), logits (B, C, H, W).
Parameters at C = 1 and depth 50: 26,677,585.
Reference: Chen et al., arXiv:1802.02611.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcoder.templates.components.models.resnet import Depth, ResNet

LOW_CHANNELS = 48
"""Few channels of details, so that they do not outweigh the pyramid's."""


class DeepLabV3Plus(nn.Module):
    """DeepLabV3+ over a residual network.

    Args:
        num_classes: The number of classes, C.
        depth: Layers of the backbone: 18, 34, 50 or 101.
        width: Channels of the backbone's first stage.
        channels: Channels of the pyramid and the decoder.
        rates: Dilation of each branch of the pyramid.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        depth: Depth = 50,
        width: int = 64,
        channels: int = 256,
        rates: tuple[int, int, int] = (6, 12, 18),
    ) -> None:
        super().__init__()
        backbone = ResNet(1, depth=depth, width=width)
        _dilate(backbone.stages[-1])
        self.stem = backbone.stem
        self.low, self.high = backbone.stages[0], backbone.stages[1:]
        high_channels = backbone.classifier.in_features
        self.pyramid = Pyramid(high_channels, channels, rates)
        self.reduce_low = _pointwise(high_channels // 8, LOW_CHANNELS)
        self.decoder = nn.Sequential(
            _separable(channels + LOW_CHANNELS, channels),
            _separable(channels, channels),
            nn.Conv2d(channels, num_classes, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, C, H, W) for images (B, 3, H, W)."""
        low = self.low(self.stem(images))
        high = _resize(self.pyramid(self.high(low)), low.shape[-2:])
        logits = self.decoder(torch.cat([high, self.reduce_low(low)], dim=1))
        return _resize(logits, images.shape[-2:])


class Pyramid(nn.Module):
    """Convolutions at several rates beside the mean of the image, joined."""

    def __init__(
        self, channels_in: int, channels: int, rates: tuple[int, int, int]
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                _pointwise(channels_in, channels),
                *(_separable(channels_in, channels, dilation=rate) for rate in rates),
            ]
        )
        self.image = nn.Sequential(
            nn.Conv2d(channels_in, channels, 1, bias=False),
            # One pixel an image: batch norm would fail on a batch of one.
            nn.GroupNorm(1, channels),
            nn.ReLU(inplace=True),
        )
        self.join = nn.Sequential(
            _pointwise((len(rates) + 2) * channels, channels), nn.Dropout(0.1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels_in, h, w) to (B, channels, h, w)."""
        views = [branch(x) for branch in self.branches]
        image = self.image(x.mean(dim=(2, 3), keepdim=True))
        views.append(image.expand_as(views[0]))
        out: Tensor = self.join(torch.cat(views, dim=1))
        return out


def _dilate(stage: nn.Module) -> None:
    """Keep the resolution of a strided stage, and see as far by dilation."""
    for module in stage.modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
            if module.kernel_size == (3, 3):
                module.dilation = module.padding = (2, 2)


def _pointwise(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def _separable(
    channels_in: int, channels_out: int, *, dilation: int = 1
) -> nn.Sequential:
    """A 3x3 convolution of each channel, then a 1x1 convolution across them."""
    return nn.Sequential(
        nn.Conv2d(
            channels_in,
            channels_in,
            3,
            padding=dilation,
            dilation=dilation,
            groups=channels_in,
            bias=False,
        ),
        *_pointwise(channels_in, channels_out),
    )


def _resize(x: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
