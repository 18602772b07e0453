"""Tests of the features of a network that nobody trained."""

import torch

from dlcoder.templates.components.models.random_features import RandomFeatures

IMAGES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_the_weights_are_the_same_whatever_was_drawn_before() -> None:
    torch.manual_seed(1)
    first = RandomFeatures()(IMAGES)
    torch.manual_seed(2)
    assert torch.equal(RandomFeatures()(IMAGES), first)
    assert first.shape == (4, RandomFeatures.dim)
    assert not torch.equal(RandomFeatures(seed=1)(IMAGES), first)


def test_nothing_in_it_can_be_trained() -> None:
    assert not list(RandomFeatures().parameters())


def test_stripes_of_one_direction_are_told_from_those_of_the_other() -> None:
    wave = torch.sin(torch.arange(64.0)).expand(3, 64, 64)
    features = RandomFeatures()(torch.stack([wave, wave.transpose(1, 2), -wave]))
    across, along, shifted = features
    assert (across - along).norm() > 2 * (across - shifted).norm()
