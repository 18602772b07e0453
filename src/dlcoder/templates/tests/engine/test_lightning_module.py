"""Tests of one update by Lightning."""

import math
from collections.abc import Iterator

import pytest
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Trainer
from torch import Tensor, nn

from dlcoder.templates.components.engine.ema import Ema
from dlcoder.templates.components.engine.lightning_module import TrainModule
from dlcoder.templates.components.engine.objective import NonFiniteError
from dlcoder.templates.components.engine.position import Position
from dlcoder.templates.components.engine.schedule import WarmupSchedule

Window = list[tuple[Tensor, Tensor]]


class CrossEntropy:
    """A plain objective."""

    def count(self, batch: tuple[Tensor, ...]) -> int:
        return len(batch[0])

    def __call__(
        self, model: nn.Module, batch: tuple[Tensor, ...]
    ) -> dict[str, Tensor]:
        images, labels = batch
        logits = model(images)
        return {
            "loss_cross_entropy": nn.functional.cross_entropy(
                logits, labels, reduction="sum"
            ),
            "metric_accuracy": (logits.argmax(dim=1) == labels).sum(),
        }


class OneWindow:
    """An epoch of one window."""

    def __init__(self, window: Window) -> None:
        self.window = window

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Window]:
        yield self.window


def batch(size: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (size,), generator=generator)
    return torch.randn(size, 6, generator=generator), labels


def make(*, max_grad_norm: float = 1e9) -> TrainModule:
    torch.manual_seed(0)
    model = nn.Linear(6, 4)
    # Plain SGD: unlike Adam, it shows a gradient of the wrong size.
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    return TrainModule(
        model,
        CrossEntropy(),
        optimizer,
        WarmupSchedule(optimizer, peak=0.5, total_updates=100, warmup_updates=0),
        Position(),
        max_grad_norm=max_grad_norm,
        ema=Ema(model, decay=0.9),
    )


def fit(module: TrainModule, window: Window) -> None:
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        plugins=[LightningEnvironment()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, train_dataloaders=OneWindow(window))


def weights(module: TrainModule) -> Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


def test_a_window_of_uneven_batches_is_one_batch() -> None:
    images, labels = batch(9)
    alone, split = make(), make()
    fit(alone, [(images, labels)])
    fit(split, [(images[:4], labels[:4]), (images[4:], labels[4:])])
    torch.testing.assert_close(weights(split), weights(alone))
    assert split.record == pytest.approx(alone.record)
    assert split.position == Position(step=1, batch=2)


def test_the_gradient_is_clipped_and_its_norm_reported_before() -> None:
    module = make(max_grad_norm=0.1)
    before = weights(module)
    fit(module, [batch(9)])
    assert module.record["grad_norm"] > 0.1
    moved = float((weights(module) - before).norm())
    assert moved == pytest.approx(0.5 * 0.1, rel=1e-4)
    assert module.record["lr"] == 0.5
    assert module.schedule.updates == 1


def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    module = make()
    before = weights(module)
    images, labels = batch(9)
    with pytest.raises(NonFiniteError, match="loss_total"):
        fit(module, [(images * math.nan, labels)])
    assert torch.equal(weights(module), before)
