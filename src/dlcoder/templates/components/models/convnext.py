"""ConvNeXt: a convolutional network modernized after the transformer.

    x = x + scale * pointwise(gelu(pointwise(norm(depthwise7x7(x)))))

Shapes: images (B, 3, H, W), logits (B, C); the resolution is divided by 32.
Parameters at C = 1000: 28,589,128 (tiny: depths 3, 3, 9, 3), 50,223,688 (small: 3, 3,
27, 3), both from width 96.
Reference: Liu et al., "A ConvNet for the 2020s", arXiv:2201.03545.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvNeXt(nn.Module):
    """A ConvNeXt.

    Args:
        num_classes: The number of classes, C.
        depths: Blocks of each of the four stages.
        width: Channels of the first stage; each next has twice as many.
        drop_path: Probability that the last block's branch is dropped for a sample; it
            rises linearly from 0 at the first block.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        depths: tuple[int, int, int, int] = (3, 3, 9, 3),
        width: int = 96,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        last = max(sum(depths) - 1, 1)
        rates = [drop_path * index / last for index in range(sum(depths))]
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=4), ChannelNorm(width)]
        for stage, depth in enumerate(depths):
            channels = width * 2**stage
            if stage > 0:
                layers.append(ChannelNorm(channels // 2))
                layers.append(nn.Conv2d(channels // 2, channels, 2, stride=2))
            layers += [Block(channels, rates.pop(0)) for _ in range(depth)]
        self.stages = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.classifier = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        # Equal logits at the start: the first loss is ln C, whatever the features are.
        nn.init.zeros_(self.classifier.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, C) for images (B, 3, H, W)."""
        features = self.norm(self.stages(images).mean(dim=(2, 3)))
        logits: Tensor = self.classifier(features)
        return logits


class Block(nn.Module):
    """A depthwise convolution and a feed-forward layer over channels."""

    def __init__(self, channels: int, drop_path: float) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand = nn.Linear(channels, 4 * channels)
        self.reduce = nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape."""
        branch = self.depthwise(x).permute(0, 2, 3, 1)
        branch = self.reduce(F.gelu(self.expand(self.norm(branch))))
        branch = (self.scale * branch).permute(0, 3, 1, 2)
        if self.training and self.drop_path > 0:
            keep = 1 - self.drop_path
            kept = branch.new_empty(len(x), 1, 1, 1).bernoulli_(keep)
            branch = branch * kept / keep
        out: Tensor = x + branch
        return out


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of every pixel of (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (B, C, H, W)."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
