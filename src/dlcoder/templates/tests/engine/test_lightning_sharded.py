"""Tests of a sharded model under Lightning, here by a single rank."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Trainer
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from dlcoder.templates.components.engine.lightning_sharded import (
    ShardedModule,
    ShardedStrategy,
)
from dlcoder.templates.components.engine.position import Position
from dlcoder.templates.components.engine.schedule import WarmupSchedule


@pytest.fixture(autouse=True)
def group(tmp_path: Path) -> Iterator[None]:
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1
    )
    yield
    distributed.destroy_process_group()


class SquaredOutput:
    """A plain objective."""

    def count(self, batch: tuple[Tensor, ...]) -> int:
        return len(batch[0])

    def __call__(
        self, model: nn.Module, batch: tuple[Tensor, ...]
    ) -> dict[str, Tensor]:
        return {"loss_square": model(batch[0]).square().sum()}


class OneWindow:
    """An epoch of one window."""

    def __init__(self, window: list[tuple[Tensor]]) -> None:
        self.window = window

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[list[tuple[Tensor]]]:
        yield self.window


def make(*, sharded: bool) -> ShardedModule:
    torch.manual_seed(0)
    model = nn.Linear(6, 4)
    if sharded:
        fully_shard(model, mesh=init_device_mesh("cpu", (1,)))
    # Plain SGD: unlike Adam, it shows a gradient of the wrong size.
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    return ShardedModule(
        model,
        SquaredOutput(),
        optimizer,
        WarmupSchedule(optimizer, peak=0.5, total_updates=100, warmup_updates=0),
        Position(),
        max_grad_norm=0.1,
    )


def fit(module: ShardedModule, strategy: ShardedStrategy | str) -> Trainer:
    """Train on one window of two batches."""
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        strategy=strategy,
        max_epochs=1,
        plugins=[LightningEnvironment()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    images = torch.randn(9, 6, generator=torch.Generator().manual_seed(0))
    trainer.fit(module, train_dataloaders=OneWindow([(images[:4],), (images[4:],)]))
    return trainer


def test_a_sharded_model_is_updated_as_any_other(tmp_path: Path) -> None:
    plain, sharded = make(sharded=False), make(sharded=True)
    fit(plain, "auto")
    trainer = fit(sharded, ShardedStrategy(1))
    assert sharded.record == pytest.approx(plain.record)
    assert sharded.record["grad_norm"] > 0.1, "it was clipped"
    for name, weight in sharded.model.state_dict().items():
        torch.testing.assert_close(weight.full_tensor(), plain.model.state_dict()[name])
    trainer.save_checkpoint(tmp_path / "last.pt")
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    assert saved["state_dict"] == {} and saved["optimizer_states"] == [{}]
