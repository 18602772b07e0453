"""Tests of the small convolutional network."""

import pytest
import torch
from torch import nn

from dlcoder.templates.components.models.small_cnn import SmallCNN


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("size", [(32, 32), (40, 24)])
def test_logits_have_a_row_for_each_image(batch: int, size: tuple[int, int]) -> None:
    model = SmallCNN(7, width=8).eval()
    logits = model(torch.randn(batch, 3, *size))
    assert logits.shape == (batch, 7)
    assert logits.isfinite().all()


def test_classes_are_equally_likely_at_the_start() -> None:
    assert not SmallCNN(7, width=8)(torch.randn(2, 3, 32, 32)).any()


def test_every_parameter_learns() -> None:
    model = SmallCNN(7, width=8)
    # The first update moves the classifier, and opens the way to the others.
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        logits = model(torch.randn(4, 3, 32, 32))
        nn.functional.cross_entropy(logits, torch.arange(4)).backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_images_do_not_see_each_other_in_evaluation() -> None:
    model = SmallCNN(7, width=8).eval()
    nn.init.normal_(model.classifier.weight)
    images = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(model(images)[:1], model(images[:1]))
