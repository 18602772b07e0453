"""Tests of the generator and the discriminator."""

import torch
from torch import nn

from dlcoder.templates.components.models.dcgan import Discriminator, Generator

NOISE = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))


def test_noise_becomes_images_and_images_become_scores() -> None:
    for size in (16, 64):
        images = Generator(16, width=8, image_size=size, bound=2.0)(NOISE)
        assert images.shape == (4, 3, size, size)
        assert images.abs().max() <= 2
        assert Discriminator(width=8, image_size=size)(images).shape == (4,)


def test_a_discriminator_tells_noise_from_images() -> None:
    torch.manual_seed(0)
    model, real = Discriminator(width=4), torch.full((4, 3, 64, 64), 0.5)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(15):
        optimizer.zero_grad()
        fake = torch.rand(4, 3, 64, 64) * 2 - 1
        scores = model(torch.cat([real, fake]))
        loss = nn.functional.softplus(torch.cat([-scores[:4], scores[4:]])).mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3


def test_the_generator_learns_through_the_discriminator() -> None:
    generator, discriminator = Generator(16, width=4), Discriminator(width=4)
    (-discriminator(generator(NOISE)).mean()).backward()
    for model in (generator, discriminator):
        assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_the_generator_learns_images_by_heart() -> None:
    torch.manual_seed(0)
    model = Generator(16, width=8, image_size=16)
    images = nn.functional.interpolate(torch.rand(4, 3, 2, 2), size=16)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = (model(NOISE) - images).square().mean()
        loss.backward()
        optimizer.step()
    assert loss < 0.3 * images.var()


def test_each_image_is_judged_alone_whatever_the_contrast_of_the_batch() -> None:
    images = torch.randn(3, 3, 64, 64)
    for norm in (True, False):
        model = Discriminator(width=4, norm=norm).eval()
        torch.testing.assert_close(model(images)[:1], model(images[:1]))
        assert not torch.allclose(model(images), model(0.5 * images))


def test_no_layer_of_the_discriminator_is_steeper_than_one() -> None:
    model = Discriminator(width=4).eval()
    for layer in (
        module for module in model.modules() if isinstance(module, nn.Conv2d)
    ):
        assert torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2) < 1.1
