"""Tests of SimCLR."""

import torch
from torch.nn.functional import cross_entropy, normalize

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


def test_it_learns_by_heart_which_views_belong_together() -> None:
    torch.manual_seed(0)
    model = SimCLR(width=4, projection=8)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    views, partners = torch.cat([IMAGES, -IMAGES])[..., ::2, ::2], torch.arange(4)
    for _ in range(15):
        optimizer.zero_grad()
        left, right = normalize(model(views), dim=1).chunk(2)
        loss = cross_entropy(left @ right.T / 0.1, partners)
        loss.backward()
        optimizer.step()
    assert loss < 0.05
