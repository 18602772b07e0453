"""Tests of one update of a GAN by Lightning."""

import math
from collections.abc import Iterator

import pytest
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Trainer
from torch import Tensor, nn

from dlcoder.templates.components.engine.adversarial import Discrimination, Generation
from dlcoder.templates.components.engine.ema import Ema
from dlcoder.templates.components.engine.lightning_adversarial import (
    AdversarialModule,
    Player,
)
from dlcoder.templates.components.engine.objective import NonFiniteError, Objective
from dlcoder.templates.components.engine.position import Position
from dlcoder.templates.components.engine.schedule import WarmupSchedule
from dlcoder.templates.components.models.dcgan import Discriminator, Generator

Window = list[tuple[Tensor, ...]]
IMAGES = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class OneWindow:
    """An epoch of one window."""

    def __init__(self, window: Window) -> None:
        self.window = window

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Window]:
        yield self.window


def make() -> AdversarialModule:
    torch.manual_seed(0)
    generator = Generator(8, width=4, image_size=16)
    discriminator = Discriminator(width=4, image_size=16)
    return AdversarialModule(
        player(discriminator, Discrimination(discriminator, generator, noise_dim=8)),
        player(generator, Generation(discriminator, noise_dim=8)),
        Position(),
        max_grad_norm=0.01,
        ema=Ema(generator, decay=0.9),
    )


def player(model: nn.Module, objective: Objective) -> Player:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    schedule = WarmupSchedule(optimizer, peak=0.5, total_updates=100, warmup_updates=0)
    return Player(model, objective, optimizer, schedule)


def fit(module: AdversarialModule, window: Window) -> None:
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        precision="bf16-mixed",
        plugins=[LightningEnvironment()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, train_dataloaders=OneWindow(window))


def weights(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


def test_both_networks_are_updated_once_by_clipped_gradients_even_under_autocast() -> (
    None
):
    module = make()
    before = [weights(each.model) for each in module.players]
    fit(module, [(IMAGES[:5],), (IMAGES[5:],)])
    for old, each in zip(before, module.players, strict=True):
        moved = float((weights(each.model) - old).norm())
        assert moved == pytest.approx(0.5 * 0.01, rel=1e-3)
        assert each.schedule.updates == 1
    record = module.record
    assert record["grad_norm"] > 0.01 < record["grad_norm_discriminator"]
    assert record["loss_total"] == pytest.approx(
        sum(
            record[f"loss_{name}"] for name in ("generator", "discriminator", "penalty")
        )
    )
    assert record["lr"] == 0.5
    assert module.position == Position(step=1, batch=2)


def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    module = make()
    before = [weights(each.model) for each in module.players]
    with pytest.raises(NonFiniteError, match="loss_total"):
        fit(module, [(IMAGES * math.nan,)])
    after = [weights(each.model) for each in module.players]
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
