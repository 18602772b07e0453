"""Tests of the vision transformer."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlcoder.templates.components.models.vit import ViT

IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def tiny(registers: int = 4) -> ViT:
    torch.manual_seed(0)
    sizes = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "heads": 2}
    return ViT(3, **sizes, registers=registers)


def test_classes_are_equally_likely_at_the_start() -> None:
    logits = tiny()(IMAGES)
    assert logits.shape == (3, 3)
    assert not logits.any()


def test_features_are_the_class_token_and_the_patches() -> None:
    assert tiny(registers=4).features(IMAGES).shape == (3, 1 + 16, 32)
    assert tiny(registers=0).features(IMAGES).shape == (3, 1 + 16, 32)


def test_it_learns_a_batch_by_heart() -> None:
    model = tiny()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(IMAGES), torch.arange(3))
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_images_do_not_see_each_other() -> None:
    model = tiny().eval()
    nn.init.normal_(model.classifier.weight)
    torch.testing.assert_close(model(IMAGES)[:1], model(IMAGES[:1]))


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="patch_size"):
        ViT(3, image_size=30, patch_size=8)


def test_it_has_as_many_parameters_as_published() -> None:
    with torch.device("meta"):
        model = ViT(1000, width=384, heads=6, registers=0)
    assert sum(p.numel() for p in model.parameters()) == 22_050_664
