"""Tests of the U-Net."""

import pytest
import torch
import torch.nn.functional as F

from dlcoder.templates.components.models.unet import UNet


@pytest.mark.parametrize("size", [(32, 32), (35, 50)])
def test_every_pixel_gets_logits_whatever_the_size(size: tuple[int, int]) -> None:
    logits = UNet(3, width=4).eval()(torch.randn(1, 3, *size))
    assert logits.shape == (1, 3, *size)


def test_it_learns_an_image_by_heart() -> None:
    torch.manual_seed(0)
    model = UNet(2, width=4)
    images = torch.randn(2, 3, 16, 16)
    target = (images[:, 0] > 0).long()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(model(images), target).backward()
        optimizer.step()
    assert (model(images).argmax(dim=1) == target).float().mean() > 0.95
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_it_has_as_many_parameters_as_published() -> None:
    with torch.device("meta"):
        model = UNet(2, width=64)
    assert sum(p.numel() for p in model.parameters()) == 31_037_698
