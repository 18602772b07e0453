"""SegFormer: a hierarchical transformer and a decoder of linear layers.

Four stages of overlapping patches; keys and values are shortened by a strided
convolution, so that attention is affordable at a quarter of the resolution. There are
no positions: the depthwise convolution of the feed-forward layer tells places apart.

Shapes: images (B, 3, H, W), logits (B, C, H, W) (resized from a quarter).
Parameters of B0 (widths 32, 64, 160, 256, depths 2, 2, 2, 2) at C = 150: 3,752,694.
Reference: Xie et al., arXiv:2105.15203.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEADS = (1, 2, 5, 8)
SHORTENING = (8, 4, 2, 1)


class SegFormer(nn.Module):
    """A SegFormer.

    Args:
        num_classes: The number of classes, C.
        widths: Channels of the four stages, divisible by 1, 2, 5 and 8 heads.
        depths: Blocks of the four stages.
        decoder_width: Channels of the decoder.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        widths: tuple[int, int, int, int] = (32, 64, 160, 256),
        depths: tuple[int, int, int, int] = (2, 2, 2, 2),
        decoder_width: int = 256,
    ) -> None:
        super().__init__()
        channels = (3, *widths)
        self.stages = nn.ModuleList(
            Stage(
                channels[i], widths[i], depths[i], HEADS[i], SHORTENING[i], first=i == 0
            )
            for i in range(4)
        )
        self.project = nn.ModuleList(
            nn.Linear(width, decoder_width) for width in widths
        )
        self.fuse = nn.Sequential(
            nn.Conv2d(4 * decoder_width, decoder_width, 1, bias=False),
            nn.BatchNorm2d(decoder_width),
            nn.ReLU(inplace=True),
            nn.Dropout(0.1),
        )
        self.classifier = nn.Conv2d(decoder_width, num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, C, H, W) for images (B, 3, H, W)."""
        x, levels = images, []
        for stage, project in zip(self.stages, self.project, strict=True):
            x = stage(x)
            levels.append(project(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        quarter = levels[0].shape[-2:]
        # The coarsest first, the order of the published weights.
        joined = torch.cat([_resize(level, quarter) for level in levels[::-1]], dim=1)
        return _resize(self.classifier(self.fuse(joined)), images.shape[-2:])


class Stage(nn.Module):
    """Overlapping patches, then transformer blocks."""

    def __init__(
        self,
        channels: int,
        width: int,
        depth: int,
        heads: int,
        shortening: int,
        *,
        first: bool,
    ) -> None:
        super().__init__()
        kernel, stride = (7, 4) if first else (3, 2)
        self.patches = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2)
        self.patch_norm = nn.LayerNorm(width, eps=1e-5)
        self.blocks = nn.ModuleList(
            Block(width, heads, shortening) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to (B, width, H / stride, W / stride)."""
        x = self.patches(x)
        height, width = x.shape[-2:]
        tokens = self.patch_norm(x.flatten(2).transpose(1, 2))
        for block in self.blocks:
            tokens = block(tokens, height, width)
        return _to_image(self.norm(tokens), height, width)


class Block(nn.Module):
    """Attention with shortened keys, and a feed-forward layer with a convolution."""

    def __init__(self, width: int, heads: int, shortening: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.shorten: nn.Conv2d | None = None
        if shortening > 1:
            self.shorten = nn.Conv2d(width, width, shortening, stride=shortening)
            self.shorten_norm = nn.LayerNorm(width, eps=1e-5)
        self.feed_forward_norm = nn.LayerNorm(width, eps=1e-6)
        self.expand = nn.Linear(width, 4 * width)
        self.depthwise = nn.Conv2d(4 * width, 4 * width, 3, padding=1, groups=4 * width)
        self.reduce = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """Map tokens (B, height * width, D) to the same shape."""
        x = x + self._attend(self.attention_norm(x), height, width)
        inner = self.expand(self.feed_forward_norm(x))
        inner = (
            self.depthwise(_to_image(inner, height, width)).flatten(2).transpose(1, 2)
        )
        out: Tensor = x + self.reduce(F.gelu(inner))
        return out

    def _attend(self, x: Tensor, height: int, width: int) -> Tensor:
        short = x
        if self.shorten is not None:
            short = self.shorten(_to_image(x, height, width)).flatten(2).transpose(1, 2)
            short = self.shorten_norm(short)
        query, key, value = (
            projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projected in (self.query(x), self.key(short), self.value(short))
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.output(attended.transpose(1, 2).flatten(2))
        return out


def _to_image(tokens: Tensor, height: int, width: int) -> Tensor:
    image: Tensor = tokens.transpose(1, 2).unflatten(2, (height, width))
    return image


def _resize(x: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
