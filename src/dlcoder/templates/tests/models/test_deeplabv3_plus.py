"""Tests of DeepLabV3+."""

import pytest
import torch
import torch.nn.functional as F

from dlcoder.templates.components.models.deeplabv3_plus import DeepLabV3Plus


def tiny() -> DeepLabV3Plus:
    torch.manual_seed(0)
    return DeepLabV3Plus(2, depth=18, width=4, channels=8, rates=(1, 2, 3))


@pytest.mark.parametrize("size", [(64, 64), (65, 50)])
def test_every_pixel_gets_logits_whatever_the_size(size: tuple[int, int]) -> None:
    assert tiny().eval()(torch.randn(1, 3, *size)).shape == (1, 2, *size)


def test_the_last_stage_keeps_the_resolution() -> None:
    model, images = tiny().eval(), torch.randn(1, 3, 64, 64)
    low = model.low(model.stem(images))
    assert low.shape[-2:] == (16, 16)
    assert model.high(low).shape[-2:] == (4, 4)


def test_it_learns_a_single_image_by_heart() -> None:
    model = tiny()
    target = torch.zeros(1, 32, 32, dtype=torch.int64)
    target[0, :, 16:] = 1
    images = torch.randn(1, 3, 32, 32) + target.unsqueeze(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(model(images), target).backward()
        optimizer.step()
    assert (model(images).argmax(dim=1) == target).float().mean() > 0.9


def test_it_has_as_many_parameters_as_published() -> None:
    with torch.device("meta"):
        model = DeepLabV3Plus(1)
    assert sum(p.numel() for p in model.parameters()) == 26_677_585
