"""Tests of the residual encoder."""

import torch

from dlcoder.templates.components.models.resnet_encoder import ResNetEncoder


def test_images_of_any_size_become_features() -> None:
    encoder = ResNetEncoder(depth=18, width=4)
    for size in (32, 48):
        features = encoder(torch.randn(2, 3, size, size))
        assert features.shape == (2, encoder.dim)


def test_no_parameter_is_left_without_a_gradient() -> None:
    encoder = ResNetEncoder(depth=18, width=4)
    encoder(torch.randn(2, 3, 32, 32)).sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


def test_it_has_as_many_parameters_as_published_less_the_classifier() -> None:
    with torch.device("meta"):
        encoder = ResNetEncoder(depth=50, small_images=False)
    expected = 25_557_032 - 2049 * 1000
    assert sum(p.numel() for p in encoder.parameters()) == expected
