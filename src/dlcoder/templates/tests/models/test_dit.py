"""Tests of the diffusion transformer."""

import torch
from torch import nn

from dlcoder.templates.components.models.dit import DiT

IMAGES = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
STEPS, LABELS = torch.tensor([1, 500]), torch.tensor([1, 2])


def tiny(label_dropout: float = 0.1) -> DiT:
    """One whose zero layers have begun to learn."""
    torch.manual_seed(0)
    model = DiT(
        10, image_size=8, width=32, layers=2, heads=2, label_dropout=label_dropout
    )
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return model


def test_it_predicts_nothing_at_the_start() -> None:
    model = DiT(10, image_size=8, width=32, layers=1, heads=2)
    prediction = model(IMAGES, STEPS, LABELS)
    assert prediction.shape == IMAGES.shape
    assert not prediction.any()


def test_image_step_and_label_all_count() -> None:
    model = tiny().eval()
    plain = model(IMAGES, STEPS, LABELS)
    for other in (
        (IMAGES.flip(0), STEPS, LABELS),
        (IMAGES, STEPS + 1, LABELS),
        (IMAGES, STEPS, LABELS + 1),
    ):
        assert not torch.allclose(model(*other), plain)


def test_labels_are_dropped_in_training_only() -> None:
    model = tiny(label_dropout=1.0)
    one, other = (IMAGES, STEPS, LABELS), (IMAGES, STEPS, LABELS + 3)
    assert torch.equal(model(*one), model(*other))
    assert not torch.equal(model.eval()(*one), model(*other))


def test_it_learns_a_batch_by_heart() -> None:
    model, target = tiny(label_dropout=0.0), IMAGES.flip(3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = (model(IMAGES, STEPS, LABELS) - target).square().mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3


def test_every_parameter_learns() -> None:
    model = tiny()
    model(IMAGES, STEPS, LABELS).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())
