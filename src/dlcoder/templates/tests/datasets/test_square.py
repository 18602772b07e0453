"""Tests of middle squares."""

import torch

from dlcoder.templates.components.datasets.square import square


def test_the_shorter_side_is_scaled_and_the_middle_cut_out() -> None:
    image = torch.arange(12.0).expand(3, 6, 12)
    assert torch.equal(square(image, 6), image[..., 3:9])
    assert square(image, 3).shape == square(image.mT, 3).shape == (3, 3, 3)


def test_the_middle_square_of_image_and_labels_is_the_same() -> None:
    labels = torch.arange(6).repeat_interleave(2).expand(4, 12).clone()
    image = labels.expand(3, 4, 12).to(torch.uint8)
    assert torch.equal(square(image, 4)[0].long(), square(labels, 4, labels=True))
    assert square(labels, 4, labels=True)[0].tolist() == [2, 2, 3, 3]
