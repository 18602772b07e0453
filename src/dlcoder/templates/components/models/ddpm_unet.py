"""The U-Net of denoising diffusion: residual blocks that know the step, and attention.

Shapes: noisy images (B, C, S, S), steps (B,), prediction (B, C, S, S).
Parameters at C = 3, width 128, multipliers 1, 2, 2, 2, attention at the second level:
35,746,307.
Reference: Ho et al., arXiv:2006.11239.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DDPMUNet(nn.Module):
    """A denoiser.

    Args:
        channels: C.
        width: Channels of the first level, a multiple of 32.
        multipliers: Width of each level over that of the first.
        attention_levels: Levels with attention; level 0 has the full resolution.
        depth: Residual blocks of a level.
        dropout: Probability of dropping a channel's element inside a residual block.
    """

    def __init__(
        self,
        channels: int = 3,
        *,
        width: int = 128,
        multipliers: tuple[int, ...] = (1, 2, 2, 2),
        attention_levels: tuple[int, ...] = (1,),
        depth: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if width % 32:
            raise ValueError(f"width must be a multiple of 32, got {width}")
        self.width = width
        condition = 4 * width
        self.step = nn.Sequential(
            nn.Linear(width, condition), nn.SiLU(), nn.Linear(condition, condition)
        )
        self.stem = nn.Conv2d(channels, width, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        skips, x = [width], width
        for level, multiplier in enumerate(multipliers):
            attend = level in attention_levels
            for _ in range(depth):
                block = Residual(x, width * multiplier, condition, dropout, attend)
                self.down.append(block)
                x = width * multiplier
                skips.append(x)
            if level < len(multipliers) - 1:
                self.down.append(Resize(x, stride=2))
                skips.append(x)
        self.middle = nn.ModuleList(
            [
                Residual(x, x, condition, dropout, True),
                Residual(x, x, condition, dropout, False),
            ]
        )
        for level, multiplier in reversed(list(enumerate(multipliers))):
            attend = level in attention_levels
            for _ in range(depth + 1):
                wide = x + skips.pop()
                x = width * multiplier
                self.up.append(Residual(wide, x, condition, dropout, attend))
            if level > 0:
                self.up.append(Resize(x, stride=1))
        self.norm = nn.GroupNorm(32, x)
        self.output = nn.Conv2d(x, channels, 3, padding=1)
        # The first prediction is 0, whatever the image.
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.get_parameter("bias"))

    def forward(self, images: Tensor, step: Tensor) -> Tensor:
        """Return the prediction for noisy images (B, C, S, S) at steps (B,)."""
        condition = self.step(step_features(step, self.width))
        x = self.stem(images)
        skips = [x]
        for layer in self.down:
            x = layer(x, condition)
            skips.append(x)
        for layer in self.middle:
            x = layer(x, condition)
        for layer in self.up:
            if isinstance(layer, Residual):
                x = torch.cat([x, skips.pop()], dim=1)
            x = layer(x, condition)
        out: Tensor = self.output(F.silu(self.norm(x)))
        return out


class Residual(nn.Module):
    """Two convolutions with the step added in between, then attention if asked for."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        condition: int,
        dropout: float,
        attend: bool,
    ) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(32, channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.step = nn.Linear(condition, channels_out)
        self.norm2 = nn.GroupNorm(32, channels_out)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.shortcut: nn.Module = nn.Identity()
        if channels_in != channels_out:
            self.shortcut = nn.Conv2d(channels_in, channels_out, 1)
        self.attention = Attention(channels_out) if attend else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map (B, channels_in, H, W) to (B, channels_out, H, W)."""
        branch = self.conv1(F.silu(self.norm1(x)))
        branch = branch + self.step(F.silu(condition))[:, :, None, None]
        branch = self.conv2(self.dropout(F.silu(self.norm2(branch))))
        out: Tensor = self.attention(self.shortcut(x) + branch)
        return out


class Attention(nn.Module):
    """Attention of one head over all pixels, beside a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, channels)
        self.query_key_value = nn.Conv2d(channels, 3 * channels, 1)
        self.output = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape."""
        pixels = self.query_key_value(self.norm(x)).flatten(2).transpose(1, 2)
        query, key, value = pixels.unsqueeze(1).chunk(3, dim=-1)
        attended = F.scaled_dot_product_attention(query, key, value).squeeze(1)
        out: Tensor = x + self.output(attended.transpose(1, 2).view_as(x))
        return out


class Resize(nn.Module):
    """Halves the resolution by a strided convolution, or doubles it before one."""

    def __init__(self, channels: int, *, stride: int) -> None:
        super().__init__()
        self.enlarge = stride == 1
        self.conv = nn.Conv2d(channels, channels, 3, stride=stride, padding=1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map (B, channels, H, W) to half or twice the sides; the step is not used."""
        if self.enlarge:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        out: Tensor = self.conv(x)
        return out


def step_features(step: Tensor, dim: int) -> Tensor:
    """Return sines and cosines of steps (B,) at `dim / 2` frequencies, (B, dim)."""
    half = dim // 2
    index = torch.arange(half, device=step.device, dtype=torch.float32)
    angle = step[:, None].float() * torch.exp(-math.log(10_000) * index / (half - 1))
    return torch.cat([angle.sin(), angle.cos()], dim=1)
