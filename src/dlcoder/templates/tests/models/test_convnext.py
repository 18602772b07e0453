"""Tests of ConvNeXt."""

import torch
import torch.nn.functional as F
from torch import nn

from dlcoder.templates.components.models.convnext import ConvNeXt

IMAGES = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def tiny(drop_path: float = 0.0) -> ConvNeXt:
    torch.manual_seed(0)
    return ConvNeXt(3, depths=(1, 1, 2, 1), width=8, drop_path=drop_path)


def test_classes_are_equally_likely_at_the_start() -> None:
    logits = tiny()(IMAGES)
    assert logits.shape == (3, 3)
    assert not logits.any()


def test_it_learns_a_batch_by_heart() -> None:
    model = tiny()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(20):
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


def test_branches_are_dropped_in_training_only() -> None:
    model = tiny(drop_path=0.9)
    nn.init.normal_(model.classifier.weight)
    for name, parameter in model.named_parameters():
        if name.endswith("scale"):
            nn.init.ones_(parameter)
    assert not torch.equal(model(IMAGES), model(IMAGES))
    assert torch.equal(model.eval()(IMAGES), model(IMAGES))


def test_it_has_as_many_parameters_as_published() -> None:
    with torch.device("meta"):
        model = ConvNeXt(1000)
    assert sum(p.numel() for p in model.parameters()) == 28_589_128
