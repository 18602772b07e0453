"""Tests of the small convolutional network."""

import pytest
import torch
from torch import nn

from dlcoder.templates.components.models.small_cnn import SmallCNN


@pytest.mark.parametrize("size", [(8, 8), (40, 24)])
def test_classes_are_equally_likely_at_the_start(size: tuple[int, int]) -> None:
    logits = SmallCNN(7, width=8)(torch.randn(2, 3, *size))
    assert logits.shape == (2, 7)
    assert not logits.any()


def test_it_learns_a_batch_by_heart() -> None:
    torch.manual_seed(0)
    model, images = SmallCNN(4, width=4), torch.randn(4, 3, 16, 16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), torch.arange(4))
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_images_do_not_see_each_other_in_evaluation() -> None:
    model = SmallCNN(7, width=8).eval()
    nn.init.normal_(model.classifier.weight)
    images = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(model(images)[:1], model(images[:1]))
