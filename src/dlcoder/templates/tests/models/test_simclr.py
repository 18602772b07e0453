"""Tests of SimCLR."""

import torch

from dlcoder.templates.components.models.simclr import SimCLR

IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_projections_come_from_the_head_and_features_from_below() -> None:
    model = SimCLR(width=4, projection=8)
    assert model(IMAGES).shape == (4, 8)
    assert model.features(IMAGES).shape == (4, 32)


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    model = SimCLR(width=4, projection=8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    target = torch.randn(4, 8)
    # Blocks start as their shortcut: give them a first step.
    for _ in range(2):
        optimizer.zero_grad()
        (model(IMAGES) * target).sum().backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())
