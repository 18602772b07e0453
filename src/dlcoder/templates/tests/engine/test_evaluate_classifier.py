"""Tests of the evaluation."""

import pytest
import torch
from torch import nn

from dlcoder.templates.components.engine.evaluate_classifier import evaluate_classifier
from dlcoder.templates.components.utils.distributed import World

ALONE = World(rank=0, size=1, device=torch.device("cpu"))
IMAGES = torch.randn(11, 3, 2, 2, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(11) % 4


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12), nn.Linear(12, 4))


@pytest.mark.parametrize("size", [11, 4, 1])
def test_the_batch_size_does_not_matter(size: int) -> None:
    model = make_model()
    batches = list(zip(IMAGES.split(size), LABELS.split(size), strict=True))
    result = evaluate_classifier(model, batches, num_classes=4, world=ALONE)
    logits = model.eval()(IMAGES).detach()
    loss = float(nn.functional.cross_entropy(logits, LABELS))
    assert result.metrics["loss_total"] == pytest.approx(loss, rel=2e-2)
    assert int(result.confusion.sum()) == 11


def test_the_mode_is_given_back_and_nothing_learned() -> None:
    model = make_model().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate_classifier(model, [(IMAGES, LABELS)], num_classes=4, world=ALONE)
    assert model.training
    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())
