"""Tests of the residual network."""

import pytest
import torch
from torch import nn

from dlcoder.templates.components.models.resnet import (
    BasicBlock,
    Bottleneck,
    Depth,
    ResNet,
)


def test_classes_are_equally_likely_at_the_start() -> None:
    logits = ResNet(7, width=8)(torch.randn(2, 3, 40, 24))
    assert logits.shape == (2, 7)
    assert not logits.any()


@pytest.mark.parametrize("block", [BasicBlock(32, 32, 1), Bottleneck(32, 8, 1)])
def test_a_block_starts_as_its_shortcut(block: nn.Module) -> None:
    x = torch.randn(2, 32, 8, 8).relu()
    torch.testing.assert_close(block(x), x)


def test_small_images_keep_their_resolution_at_the_start() -> None:
    stem = ResNet(7, width=8, small_images=True).stem
    assert stem(torch.randn(1, 3, 32, 32)).shape == (1, 8, 32, 32)


def test_large_images_begin_at_a_quarter() -> None:
    stem = ResNet(7, width=8, small_images=False).stem
    assert stem(torch.randn(1, 3, 32, 32)).shape == (1, 8, 8, 8)


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
