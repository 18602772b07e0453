"""Masked autoencoder: a vision transformer that learns by filling in hidden patches.

    visible patches -> encoder -> [encoded, mask tokens] -> decoder -> pixels

The encoder sees a quarter of the patches only, which makes training cheap; the decoder
is small and thrown away. `features` is what is used afterwards.

Shapes: images (B, 3, S, S) with S the image size, predictions (B, N, 3 * patch^2) of N
patches, rows first and channels last, masked (B, N).
Parameters at the defaults: 111,655,680, and 252,160 numbers of fixed positions.
Reference: He et al., arXiv:2111.06377.
"""

import torch
from torch import Tensor, nn

from dlcoder.templates.components.models.vit import Block


class MAE(nn.Module):
    """A masked autoencoder.

    Args:
        image_size: Side of the images in pixels.
        patch_size: Side of a patch, dividing the image's.
        width: Width of the encoder's tokens, a multiple of 4.
        layers: The number of the encoder's blocks.
        heads: The encoder's attention heads.
        decoder_width: Width of the decoder's tokens, a multiple of 4.
        decoder_layers: The number of the decoder's blocks.
        decoder_heads: The decoder's attention heads.
        mask_ratio: The part of the patches that is hidden, in (0, 1).
    """

    def __init__(
        self,
        *,
        image_size: int = 224,
        patch_size: int = 16,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        decoder_width: int = 512,
        decoder_layers: int = 8,
        decoder_heads: int = 16,
        mask_ratio: float = 0.75,
    ) -> None:
        super().__init__()
        if image_size % patch_size:
            raise ValueError(
                f"patch_size ({patch_size}) must divide image_size ({image_size})"
            )
        self.mask_ratio = mask_ratio
        grid = image_size // patch_size
        self.patches = nn.Conv2d(3, width, patch_size, stride=patch_size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.encoder = nn.Sequential(
            *(Block(width, heads, dropout=0.0) for _ in range(layers)),
            nn.LayerNorm(width, eps=1e-6),
        )
        self.to_decoder = nn.Linear(width, decoder_width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_width))
        self.decoder = nn.Sequential(
            *(
                Block(decoder_width, decoder_heads, dropout=0.0)
                for _ in range(decoder_layers)
            ),
            nn.LayerNorm(decoder_width, eps=1e-6),
            nn.Linear(decoder_width, 3 * patch_size**2),
        )
        self.positions: Tensor
        self.decoder_positions: Tensor
        self.register_buffer("positions", fixed_positions(grid, width))
        self.register_buffer("decoder_positions", fixed_positions(grid, decoder_width))
        self._initialize()

    def forward(
        self, images: Tensor, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return predictions (B, N, 3 * patch^2) and which patches were hidden (B, N).

        Args:
            images: Images (B, 3, S, S).
            noise: A number of each patch (B, N): those of the highest are hidden. None
                draws it.
        """
        tokens = self._embed(images)
        batch, count, _ = tokens.shape
        if noise is None:
            noise = torch.rand(batch, count, device=images.device)
        kept = max(1, int(count * (1 - self.mask_ratio)))
        visible = noise.argsort(dim=1)[:, :kept]
        tokens = tokens.gather(1, _expand(visible, tokens))
        encoded = self.to_decoder(self._encode(tokens))

        # Every place gets the mask token, and the visible ones what was encoded.
        full = self.mask_token.to(encoded.dtype).expand(batch, count, -1)
        full = full.scatter(1, _expand(visible, full), encoded[:, 1:])
        full = full + self.decoder_positions
        prediction = self.decoder(torch.cat([encoded[:, :1], full], dim=1))[:, 1:]
        masked = torch.ones_like(noise, dtype=torch.bool).scatter(1, visible, False)
        return prediction, masked

    def features(self, images: Tensor) -> Tensor:
        """Return the class token (B, D) of images (B, 3, S, S), nothing hidden."""
        return self._encode(self._embed(images))[:, 0]

    def _embed(self, images: Tensor) -> Tensor:
        patches: Tensor = self.patches(images).flatten(2).transpose(1, 2)
        return patches + self.positions

    def _encode(self, tokens: Tensor) -> Tensor:
        """Return the class token and the tokens, encoded: (B, 1 + n, D)."""
        class_token = self.class_token.expand(len(tokens), -1, -1)
        encoded: Tensor = self.encoder(torch.cat([class_token, tokens], dim=1))
        return encoded

    def _initialize(self) -> None:
        for token in (self.class_token, self.mask_token):
            nn.init.normal_(token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        # A patch's convolution is a linear layer, and starts as one.
        nn.init.xavier_uniform_(self.patches.weight.view(len(self.patches.weight), -1))


def fixed_positions(grid: int, width: int) -> Tensor:
    """Return sines and cosines of the row and the column, (1, grid^2, width)."""
    frequency = 10_000 ** -torch.linspace(0, 1, width // 4 + 1)[:-1]
    angle = torch.outer(torch.arange(grid), frequency)
    table = torch.cat([angle.sin(), angle.cos()], dim=1)  # (grid, width / 2)
    rows = table[:, None].expand(grid, grid, -1)
    return torch.cat([rows, rows.transpose(0, 1)], dim=2).flatten(0, 1).unsqueeze(0)


def _expand(index: Tensor, like: Tensor) -> Tensor:
    """Shape indices (B, n) to pick whole tokens of (B, N, D)."""
    return index.unsqueeze(2).expand(-1, -1, like.shape[2])
