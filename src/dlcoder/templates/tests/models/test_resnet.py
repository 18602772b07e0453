"""Tests of the residual network."""

import pytest
import torch
from torch import nn

from dlcoder.templates.components.models.resnet import Depth, ResNet


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("size", [(32, 32), (40, 24)])
def test_logits_have_a_row_for_each_image(batch: int, size: tuple[int, int]) -> None:
    model = ResNet(7, width=8).eval()
    logits = model(torch.randn(batch, 3, *size))
    assert logits.shape == (batch, 7)
    assert logits.isfinite().all()


def test_classes_are_equally_likely_at_the_start() -> None:
    assert not ResNet(7, width=8)(torch.randn(2, 3, 32, 32)).any()


def test_every_parameter_learns() -> None:
    model = ResNet(7, width=8)
    # The first updates move classifier and norms, and open the way to the others.
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        logits = model(torch.randn(4, 3, 32, 32))
        nn.functional.cross_entropy(logits, torch.arange(4)).backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_images_do_not_see_each_other_in_evaluation() -> None:
    model = ResNet(7, width=8).eval()
    nn.init.normal_(model.classifier.weight)
    images = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(model(images)[:1], model(images[:1]))


@pytest.mark.parametrize(("depth", "parameters"), [(18, 11_689_512), (50, 25_557_032)])
def test_it_has_as_many_parameters_as_published(depth: Depth, parameters: int) -> None:
    with torch.device("meta"):
        model = ResNet(1000, depth=depth, small_images=False)
    assert sum(p.numel() for p in model.parameters()) == parameters
