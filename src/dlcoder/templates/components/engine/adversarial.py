"""What the two networks of a GAN minimize, for one batch: each plays against the other.

Shapes: images (B, 3, S, S), of about zero mean and unit variance; noise (B, Z), drawn
anew for every pass. What else is in a batch, such as labels, is not used.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.losses.gan import (
    GANLoss,
    gradient_penalty,
    r1_penalty,
)

Game = Literal["hinge", "non_saturating", "wasserstein"]


class Discrimination:
    """The objective of the discriminator: to tell made images from real ones.

    Args:
        discriminator: The model, not wrapped for data parallelism.
        generator: Its opponent, not wrapped either.
        noise_dim: Z.
        game: Which game is played.
        penalty: Weight of the penalty on the discriminator's slope, which hinge does
            without.
    """

    def __init__(
        self,
        discriminator: nn.Module,
        generator: nn.Module,
        *,
        noise_dim: int,
        game: Game = "non_saturating",
        penalty: float = 10.0,
    ) -> None:
        self.discriminator = discriminator
        self.generator = generator
        self.noise_dim = noise_dim
        self.loss = GANLoss(kind=game)
        self.game = game
        self.penalty = penalty

    def count(self, batch: Batch) -> int:
        """The number of images, which sums are divided by in the end."""
        return len(batch[0])

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return sums over the images: `loss_*` to minimize."""
        real = batch[0]
        with torch.no_grad():
            fake = self.generator(draw_noise(real, self.noise_dim))
        # Data parallelism prepares for one pass through it before a backward pass: the
        # others go around it.
        loss = self.loss.discriminator(model(real), self.discriminator(fake))
        sums = {"loss_discriminator": loss * len(real)}
        if self.game != "hinge" and self.penalty > 0:
            sums["loss_penalty"] = self.penalty * self._slope(real, fake) * len(real)
        return sums

    def _slope(self, real: Tensor, fake: Tensor) -> Tensor:
        # Half precision loses what a gradient's own gradient is made of.
        with torch.autocast(real.device.type, enabled=False):
            if self.game == "wasserstein":
                return gradient_penalty(self.discriminator, real, fake)
            return r1_penalty(self.discriminator, real)


class Generation:
    """The objective of the generator: to make what the discriminator takes for real.

    Args:
        discriminator: Its opponent, not wrapped for data parallelism.
        noise_dim: Z.
        game: Which game is played.
    """

    def __init__(
        self,
        discriminator: nn.Module,
        *,
        noise_dim: int,
        game: Game = "non_saturating",
    ) -> None:
        self.discriminator = discriminator
        self.noise_dim = noise_dim
        self.loss = GANLoss(kind=game)

    def count(self, batch: Batch) -> int:
        """The number of images, which sums are divided by in the end."""
        return len(batch[0])

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the sum over as many images as are in the batch."""
        fake = model(draw_noise(batch[0], self.noise_dim))
        # Gradients go through the opponent, and none stay there.
        self.discriminator.requires_grad_(False)
        scores = self.discriminator(fake)
        self.discriminator.requires_grad_(True)
        return {"loss_generator": self.loss(scores) * len(batch[0])}


def draw_noise(images: Tensor, noise_dim: int) -> Tensor:
    """Return standard normal noise (B, Z) for as many images."""
    return torch.randn(len(images), noise_dim, device=images.device)


def both(
    discriminator: Mapping[str, float], generator: Mapping[str, float]
) -> dict[str, float]:
    """Return one record of two updates.

    `loss_total` is the sum of both; `grad_norm` is the generator's, and
    `grad_norm_discriminator` its opponent's.
    """
    return {
        **generator,
        **discriminator,
        "loss_total": generator["loss_total"] + discriminator["loss_total"],
        "grad_norm": generator["grad_norm"],
        "grad_norm_discriminator": discriminator["grad_norm"],
    }
