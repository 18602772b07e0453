"""Diffusion transformer: a denoiser of patches, conditioned by adaptive layer norm.

    x = x + gate * layer(shift + (1 + scale) * norm(x)),  layer: attention, feed-forward
    (shift, scale, gate) = linear(silu(time + class))

Every gate starts at 0, so that each block starts as the identity, and the output is 0.
Classes are dropped at random in training, for guidance without a classifier.

Shapes: images or latents (B, C, S, S), steps (B,), labels (B,); the output is like the
input, or with twice the channels where the variance is learned.
Parameters of DiT-XL/2 (4 channels, size 32, 1000 classes, learned variance) without the
fixed positions: 674,834,720.
Reference: Peebles and Xie, arXiv:2212.09748.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DiT(nn.Module):
    """A diffusion transformer.

    Args:
        num_classes: The number of classes; the label `num_classes` itself means none.
        image_size: S.
        channels: C.
        patch_size: Side of a patch, dividing the image's.
        width: Width of a token, a multiple of 4.
        layers: The number of blocks.
        heads: Attention heads, dividing the width.
        label_dropout: Probability of training a sample without its label.
        learn_variance: Predict a variance beside the mean: twice the channels.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        image_size: int = 32,
        channels: int = 4,
        patch_size: int = 2,
        width: int = 384,
        layers: int = 12,
        heads: int = 6,
        label_dropout: float = 0.1,
        learn_variance: bool = False,
    ) -> None:
        super().__init__()
        if image_size % patch_size:
            raise ValueError(
                f"patch_size ({patch_size}) must divide image_size ({image_size})"
            )
        if width % heads or width % 4:
            raise ValueError(f"width ({width}) must be a multiple of 4 and of {heads}")
        self.num_classes = num_classes
        self.label_dropout = label_dropout
        self.patch_size = patch_size
        out_channels = 2 * channels if learn_variance else channels
        grid = image_size // patch_size
        self.patches = nn.Conv2d(channels, width, patch_size, stride=patch_size)
        self.positions: Tensor
        self.register_buffer("positions", _grid_positions(grid, width), False)
        self.time_in = nn.Linear(256, width)
        self.time_out = nn.Linear(width, width)
        self.label = nn.Embedding(num_classes + 1, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.modulation = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, patch_size**2 * out_channels)
        self._initialize()

    def forward(self, images: Tensor, step: Tensor, label: Tensor) -> Tensor:
        """Return the prediction for noisy images (B, C, S, S).

        Args:
            images: What to denoise.
            step: The step of each image (B,).
            label: The class of each image (B,), int64; `num_classes` for none.
        """
        if self.training and self.label_dropout > 0:
            dropped = torch.rand(len(label), device=label.device) < self.label_dropout
            label = label.masked_fill(dropped, self.num_classes)
        time = self.time_out(F.silu(self.time_in(step_features(step, 256))))
        condition = time + self.label(label)
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.positions
        for block in self.blocks:
            tokens = block(tokens, condition)
        shift, scale = self.modulation(F.silu(condition)).unsqueeze(1).chunk(2, dim=-1)
        return self._unpatch(self.output(modulate(self.norm(tokens), shift, scale)))

    def _unpatch(self, tokens: Tensor) -> Tensor:
        """Lay patches (B, N, P * P * C) out as images (B, C, S, S)."""
        grid, side = math.isqrt(tokens.shape[1]), self.patch_size
        patches = tokens.unflatten(1, (grid, grid)).unflatten(-1, (side, side, -1))
        images: Tensor = patches.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)
        return images

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.patches.weight.view(len(self.patches.weight), -1))
        nn.init.normal_(self.label.weight, std=0.02)
        nn.init.normal_(self.time_in.weight, std=0.02)
        nn.init.normal_(self.time_out.weight, std=0.02)
        # Identity at the start: see the module's docstring.
        for module in self.modules():
            if isinstance(module, DiT | Block):
                nn.init.zeros_(module.modulation.weight)
        nn.init.zeros_(self.output.weight)


class Block(nn.Module):
    """Attention and a feed-forward layer, modulated by the condition."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.GELU(approximate="tanh"),
            nn.Linear(4 * width, width),
        )
        self.modulation = nn.Linear(width, 6 * width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map tokens (B, N, width) to the same shape, given a condition (B, width)."""
        modulation = self.modulation(F.silu(condition)).unsqueeze(1)
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = modulation.chunk(6, dim=-1)
        attended = self._attend(modulate(self.attention_norm(x), shift_1, scale_1))
        x = x + gate_1 * attended
        inner = modulate(self.feed_forward_norm(x), shift_2, scale_2)
        out: Tensor = x + gate_2 * self.feed_forward(inner)
        return out

    def _attend(self, x: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.query_key_value(x).chunk(3, dim=-1)
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.attention_output(attended.transpose(1, 2).flatten(2))
        return out


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Scale and shift normalized tokens."""
    return x * (1 + scale) + shift


def step_features(step: Tensor, dim: int, *, longest: float = 10_000.0) -> Tensor:
    """Return cosines and sines of steps (B,) at `dim / 2` frequencies, (B, dim)."""
    half = dim // 2
    exponent = torch.arange(half, device=step.device, dtype=torch.float32) / half
    angle = step[:, None].float() * longest**-exponent
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def _grid_positions(grid: int, width: int) -> Tensor:
    """Return fixed sines of row and column, (grid * grid, width)."""
    rows, columns = torch.meshgrid(
        torch.arange(grid), torch.arange(grid), indexing="ij"
    )
    halves = [step_features(axis.flatten(), width // 2) for axis in (columns, rows)]
    return torch.cat(halves, dim=1)
