"""Tests of the scale of images."""

import torch

from dlcoder.templates.components.datasets.normalize import normalize


def test_the_mean_color_of_photographs_becomes_zero() -> None:
    image = 255 * torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
    torch.testing.assert_close(normalize(image), torch.zeros(3, 1, 1))


def test_bytes_become_floats_of_about_unit_size() -> None:
    image = normalize(torch.tensor([0, 255], dtype=torch.uint8).repeat(3, 4, 1))
    assert image.dtype == torch.float32
    assert image.shape == (3, 4, 2)
    assert 2 < float(image.abs().max()) < 3
