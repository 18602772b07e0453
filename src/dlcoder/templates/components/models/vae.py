"""A convolutional variational autoencoder.

Shapes: images (B, 3, S, S), S a multiple of 16, latent (B, Z). The encoder gives the
mean and log-variance of a normal distribution, the decoder an image without bounds.
Reference: Kingma and Welling, arXiv:1312.6114.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn


class VAE(nn.Module):
    """A variational autoencoder of four strided levels.

    Args:
        image_size: S, in pixels.
        latent_dim: Z.
        width: Channels of the first level; the last has eight times as many.
    """

    def __init__(
        self, *, image_size: int = 32, latent_dim: int = 64, width: int = 32
    ) -> None:
        super().__init__()
        if image_size % 16:
            raise ValueError(f"image_size must be a multiple of 16, got {image_size}")
        widths = [width * 2**level for level in range(4)]
        self.grid = (widths[-1], image_size // 16, image_size // 16)
        features = widths[-1] * (image_size // 16) ** 2
        self.encoder = nn.Sequential(
            *(_down(a, b) for a, b in pairwise([3, *widths])), nn.Flatten()
        )
        self.mean = nn.Linear(features, latent_dim)
        self.log_variance = nn.Linear(features, latent_dim)
        self.from_latent = nn.Linear(latent_dim, features)
        self.decoder = nn.Sequential(
            *(_up(a, b) for a, b in pairwise(reversed(widths))),
            nn.ConvTranspose2d(width, 3, 4, stride=2, padding=1),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the reconstruction, mean (B, Z) and log-variance (B, Z)."""
        mean, log_variance = self.encode(images)
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        latent = mean + (log_variance / 2).exp() * noise
        return self.decode(latent), mean, log_variance

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and log-variance (B, Z) of the posterior of images."""
        features = self.encoder(images)
        # Bounded: a variance that overflows would make the first step infinite.
        return self.mean(features), self.log_variance(features).clamp(-20, 20)

    def decode(self, latent: Tensor) -> Tensor:
        """Return images (B, 3, S, S) for latents (B, Z)."""
        images: Tensor = self.decoder(self.from_latent(latent).unflatten(1, self.grid))
        return images


def _down(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1),
        nn.GroupNorm(min(8, channels_out), channels_out),
        nn.SiLU(inplace=True),
    )


def _up(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1),
        nn.GroupNorm(min(8, channels_out), channels_out),
        nn.SiLU(inplace=True),
    )
