"""Tests of DINO's network."""

import torch
from torch.nn.functional import cross_entropy

from dlcoder.templates.components.models.dino import DINO

GENERATOR = torch.Generator().manual_seed(0)
LARGE = [torch.randn(3, 3, 32, 32, generator=GENERATOR) for _ in range(2)]
SMALL = [torch.randn(3, 3, 16, 16, generator=GENERATOR) for _ in range(4)]


def tiny() -> DINO:
    torch.manual_seed(0)
    return DINO(width=4, prototypes=16, hidden=16)


def test_crops_of_several_sizes_pass_at_once() -> None:
    model = tiny().eval()
    logits = model([*LARGE, *SMALL])
    assert logits.shape == (6, 3, 16)
    torch.testing.assert_close(logits[4], model(SMALL[2:3])[0])


def test_features_come_from_below_the_head() -> None:
    assert tiny().features(LARGE[0]).shape == (3, 32)


def test_every_parameter_learns_but_the_length_of_prototypes() -> None:
    model = tiny()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    target = torch.randn(6, 3, 16)
    for _ in range(2):
        optimizer.zero_grad()
        (model([*LARGE, *SMALL]) * target).sum().backward()
        optimizer.step()
    learning = [p for p in model.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.any() for p in learning)


def test_it_learns_by_heart_which_image_a_crop_is_from() -> None:
    model = tiny()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-2)
    images = torch.arange(3).repeat(6)
    for _ in range(60):
        optimizer.zero_grad()
        logits = model([*LARGE, *SMALL]).flatten(0, 1)
        loss = cross_entropy(logits / 0.1, images)
        loss.backward()
        optimizer.step()
    assert loss < 0.2
