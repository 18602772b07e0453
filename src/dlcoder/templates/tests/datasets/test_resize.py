"""Tests of scaling."""

import torch

from dlcoder.templates.components.datasets.resize import resize


def test_bytes_are_scaled_as_floats_are_and_rounded() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(256, (3, 12, 9), dtype=torch.uint8, generator=generator)
    for size in ((5, 4), (12, 20)):
        scaled = resize(image, *size)
        assert (scaled.shape, scaled.dtype) == ((3, *size), torch.uint8)
        assert (scaled - resize(image.float(), *size)).abs().max() <= 1


def test_shrinking_takes_all_pixels_into_account() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(3, 8, 4)
    torch.testing.assert_close(resize(stripes, 1, 1), torch.full((3, 1, 1), 0.5))


def test_labels_are_never_blended() -> None:
    labels = torch.tensor([[0, 255], [7, 0]])
    for size in (1, 3, 5):
        assert set(resize(labels, size, size, labels=True).unique().tolist()) <= {
            0,
            7,
            255,
        }
