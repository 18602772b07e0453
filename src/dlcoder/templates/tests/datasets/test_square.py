"""Tests of middle squares."""

import torch

from dlcoder.templates.components.datasets.square import square


def test_the_middle_square_of_image_and_labels_is_the_same() -> None:
    labels = torch.arange(6).repeat_interleave(2).expand(4, 12).clone()
    image = labels.expand(3, 4, 12).to(torch.uint8)
    assert torch.equal(square(image, 4)[0].long(), square(labels, 4, labels=True))
    assert square(labels, 4, labels=True)[0].tolist() == [2, 2, 3, 3]
