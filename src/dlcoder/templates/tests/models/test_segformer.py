"""Tests of SegFormer."""

import pytest
import torch
import torch.nn.functional as F

from dlcoder.templates.components.models.segformer import SegFormer


def tiny() -> SegFormer:
    torch.manual_seed(0)
    return SegFormer(2, widths=(8, 16, 20, 32), depths=(1, 1, 1, 1), decoder_width=16)


@pytest.mark.parametrize("size", [(64, 64), (65, 70)])
def test_every_pixel_gets_logits_whatever_the_size(size: tuple[int, int]) -> None:
    assert tiny().eval()(torch.randn(1, 3, *size)).shape == (1, 2, *size)


def test_it_learns_an_image_by_heart() -> None:
    model = tiny()
    target = torch.zeros(2, 32, 32, dtype=torch.int64)
    target[0, :, 16:], target[1, 16:] = 1, 1
    images = torch.randn(2, 3, 32, 32) + target.unsqueeze(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        F.cross_entropy(model(images), target).backward()
        optimizer.step()
    assert (model.eval()(images).argmax(dim=1) == target).float().mean() > 0.9


def test_it_has_as_many_parameters_as_published() -> None:
    with torch.device("meta"):
        model = SegFormer(150)
    assert sum(p.numel() for p in model.parameters()) == 3_752_694
