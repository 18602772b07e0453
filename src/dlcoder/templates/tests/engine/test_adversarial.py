"""Tests of the two objectives of a GAN."""

import math

import pytest
import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.adversarial import (
    Discrimination,
    Game,
    Generation,
)
from dlcoder.templates.components.models.dcgan import Discriminator, Generator

IMAGES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
BATCH = (IMAGES, torch.zeros(4))


class Fooled(nn.Module):
    """Cannot tell images apart."""

    def forward(self, images: Tensor) -> Tensor:
        return 0 * images.sum(dim=(1, 2, 3))


class Scaled(nn.Module):
    """As steep as another, times a factor."""

    def __init__(self, model: nn.Module, scale: float) -> None:
        super().__init__()
        self.model = model
        self.scale = scale

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.model(images)
        return self.scale * scores


def make() -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    generator = Generator(8, width=4, image_size=16)
    return generator, Discriminator(width=4, image_size=16, norm=False)


@pytest.mark.parametrize(
    ("game", "of_discriminator", "of_generator"),
    [("hinge", 2.0, 0.0), ("non_saturating", 2 * math.log(2), math.log(2))],
)
def test_who_cannot_tell_images_apart_has_the_loss_of_a_guess(
    game: Game, of_discriminator: float, of_generator: float
) -> None:
    generator, _ = make()
    fooled = Fooled()
    discrimination = Discrimination(fooled, generator, noise_dim=8, game=game)
    assert discrimination.count(BATCH) == 4
    sums = discrimination(fooled, BATCH)
    assert sums["loss_discriminator"].item() / 4 == pytest.approx(of_discriminator)
    # What has no slope has none too much.
    assert sums.get("loss_penalty", torch.zeros(())).item() == 0
    sums = Generation(fooled, noise_dim=8, game=game)(generator, BATCH)
    assert sums["loss_generator"].item() / 4 == pytest.approx(of_generator)


def test_a_critic_without_slope_pays_the_penalty() -> None:
    generator, _ = make()
    fooled = Fooled()
    objective = Discrimination(
        fooled, generator, noise_dim=8, game="wasserstein", penalty=3.0
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = objective(fooled, BATCH)["loss_penalty"]
    assert penalty.dtype == torch.float32
    assert penalty.item() / 4 == pytest.approx(3.0, rel=1e-4)


@pytest.mark.parametrize("game", ["hinge", "non_saturating", "wasserstein"])
def test_each_network_learns_and_leaves_no_gradient_in_the_other(game: Game) -> None:
    generator, discriminator = make()
    objective = Discrimination(discriminator, generator, noise_dim=8, game=game)
    sums = objective(discriminator, BATCH)
    torch.stack(list(sums.values())).sum().backward()
    assert all(p.grad is not None for p in discriminator.parameters())
    assert all(p.grad is None for p in generator.parameters())
    discriminator.zero_grad()
    opponent = Generation(discriminator, noise_dim=8, game=game)
    opponent(generator, BATCH)["loss_generator"].backward()
    assert all(p.grad is not None for p in generator.parameters())
    assert all(p.grad is None for p in discriminator.parameters())
    assert all(p.requires_grad for p in discriminator.parameters())


def test_a_steep_discriminator_pays_in_the_game_that_has_no_spectral_norm() -> None:
    generator, discriminator = make()
    penalties = []
    for scale in (1.0, 2.0):
        steep = Scaled(discriminator, scale)
        objective = Discrimination(steep, generator, noise_dim=8, penalty=3.0)
        penalties.append(objective(steep, BATCH)["loss_penalty"].item())
    assert penalties[1] == pytest.approx(4 * penalties[0], rel=1e-4)
    hinge = Discrimination(discriminator, generator, noise_dim=8, game="hinge")
    assert "loss_penalty" not in hinge(discriminator, BATCH)
