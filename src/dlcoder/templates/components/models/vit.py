"""Vision transformer for classification, with register tokens.

    patches -> linear -> [registers, class, patches] + positions -> blocks -> class

Registers are extra tokens that the network may use as scratch space; they keep the
feature maps of larger models free of artifacts.

Shapes: images (B, 3, S, S) with S the image size, logits (B, C).
Parameters at C = 1000, 224 pixels, patches of 16, no registers: 5,717,416 (width 192, 3
heads), 22,050,664 (384, 6), 86,567,656 (768, 12), each with 12 layers.
References: Dosovitskiy et al., arXiv:2010.11929; Darcet et al. (registers),
arXiv:2309.16588.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ViT(nn.Module):
    """A vision transformer.

    Args:
        num_classes: The number of classes, C.
        image_size: Side of the images in pixels.
        patch_size: Side of a patch, dividing the image's.
        width: Width of a token.
        layers: The number of blocks.
        heads: Attention heads, dividing the width.
        registers: The number of register tokens.
        dropout: Probability of dropping an element of a residual branch.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        image_size: int = 224,
        patch_size: int = 16,
        width: int = 384,
        layers: int = 12,
        heads: int = 6,
        registers: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if image_size % patch_size:
            raise ValueError(
                f"patch_size ({patch_size}) must divide image_size ({image_size})"
            )
        if width % heads:
            raise ValueError(f"heads ({heads}) must divide width ({width})")
        self.patches = nn.Conv2d(3, width, patch_size, stride=patch_size)
        grid = image_size // patch_size
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.registers = nn.Parameter(torch.zeros(1, registers, width))
        self.positions = nn.Parameter(torch.zeros(1, 1 + grid * grid, width))
        self.blocks = nn.Sequential(
            *(Block(width, heads, dropout) for _ in range(layers))
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.classifier = nn.Linear(width, num_classes)
        self._initialize()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, C) for images (B, 3, S, S)."""
        logits: Tensor = self.classifier(self.features(images)[:, 0])
        return logits

    def features(self, images: Tensor) -> Tensor:
        """Return the tokens (B, 1 + N, width): the class token, then the patches."""
        patches = self.patches(images).flatten(2).transpose(1, 2)  # (B, N, width)
        batch = len(patches)
        tokens = torch.cat([self.class_token.expand(batch, -1, -1), patches], dim=1)
        tokens = tokens + self.positions
        # Registers have no place in the image, and so no position.
        registers = self.registers.expand(batch, -1, -1)
        out: Tensor = self.norm(self.blocks(torch.cat([registers, tokens], dim=1)))
        return out[:, registers.shape[1] :]

    def _initialize(self) -> None:
        for token in (self.class_token, self.registers, self.positions):
            nn.init.trunc_normal_(token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        # Equal logits at the start: the first loss is ln C, whatever the features are.
        nn.init.zeros_(self.classifier.weight)


class Block(nn.Module):
    """Attention and a feed-forward layer, each behind a norm and beside a shortcut."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width, eps=1e-6),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, width) to the same shape."""
        x = x + self.dropout(self._attend(self.attention_norm(x)))
        out: Tensor = x + self.dropout(self.feed_forward(x))
        return out

    def _attend(self, x: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.query_key_value(x).chunk(3, dim=-1)
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.output(attended.transpose(1, 2).flatten(2))
        return out
