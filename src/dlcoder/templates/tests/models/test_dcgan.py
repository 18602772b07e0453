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
    for _ in range(10):
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


def test_a_critic_without_norm_judges_each_image_alone() -> None:
    critic, images = Discriminator(width=4, norm=False), torch.randn(3, 3, 64, 64)
    torch.testing.assert_close(critic(images)[:1], critic(images[:1]))
