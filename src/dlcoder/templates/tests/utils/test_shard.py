"""Tests of sharding, with two real processes against one that holds all."""

import os
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.multiprocessing.spawn import spawn

from dlcoder.templates.components.engine.whole_state import WholeState
from dlcoder.templates.components.utils.distributed import World, end_process, from_main
from dlcoder.templates.components.utils.shard import gathered, parallelize

ALONE = World(rank=0, size=1, device=torch.device("cpu"))


class Block(nn.Module):
    """A residual block whose sizes two ranks cannot divide."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(5), nn.Linear(5, 7), nn.Linear(7, 5))

    def forward(self, features: Tensor) -> Tensor:
        change: Tensor = self.layers(features)
        return features + change


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), Block(), Block(), nn.Linear(5, 1))


def make_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    # Unlike Adam, it shows a gradient of the wrong size.
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    micro_batches: list[Tensor],
    *,
    weight: float = 1.0,
) -> None:
    for number, inputs in enumerate(micro_batches, start=1):
        if isinstance(model, FSDPModule):
            model.set_requires_gradient_sync(number == len(micro_batches))
        (model(inputs).square().sum() * weight).backward()
    optimizer.step()
    optimizer.zero_grad()


def test_a_process_alone_keeps_everything() -> None:
    model = make_model()
    assert parallelize(model, ALONE) is model
    with gathered(model):
        assert model(torch.ones(1, 3)).shape == (1, 1)


def test_two_ranks_train_what_one_process_trains_and_go_on_exactly(
    tmp_path: Path,
) -> None:
    # Not forked: a process that has computed in several threads cannot be.
    spawn(_rank, args=(str(tmp_path / "meeting"),), nprocs=2)


def _rank(rank: int, meeting: str) -> None:
    torch.set_num_threads(1)
    # By step, rank, sample.
    inputs = torch.randn(3, 2, 4, 3, generator=torch.Generator().manual_seed(0))
    alone = make_model()
    optimizer = make_optimizer(alone)
    for step in inputs:
        # Ranks average: each sample weighs one half.
        train(alone, optimizer, [step.flatten(0, 1)], weight=0.5)
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=2
    )
    _check(World(rank, 2, ALONE.device), inputs, alone)
    os.environ["RANK"] = str(rank)
    end_process(0)


def _check(world: World, inputs: Tensor, alone: nn.Module) -> None:
    sharded = parallelize(make_model(), world)
    optimizer = make_optimizer(sharded)
    # Two micro-batches of which the second is one sample.
    windows = [[share[:3], share[3:]] for share in inputs[:, world.rank]]
    for window in windows[:2]:
        train(sharded, optimizer, window)
    _runs_alone(sharded, world)
    states = from_main([WholeState(part).state_dict() for part in (sharded, optimizer)])
    train(sharded, optimizer, windows[2])
    whole = from_main(WholeState(sharded).state_dict())
    torch.testing.assert_close(whole, dict(alone.state_dict()))

    resumed = parallelize(make_model(), world)
    optimizer = make_optimizer(resumed)
    WholeState(resumed).load_state_dict(states[0])
    WholeState(optimizer).load_state_dict(states[1])
    train(resumed, optimizer, windows[2])
    for name, value in from_main(WholeState(resumed).state_dict()).items():
        assert torch.equal(value, whole[name])


@torch.no_grad()
def _runs_alone(sharded: nn.Module, world: World) -> None:
    """Check passes of which one rank makes more than the other."""
    state = from_main(WholeState(sharded).state_dict())
    plain = make_model()
    plain.load_state_dict(state)
    inputs = torch.randn(2 + 3 * world.rank, 4, 3)
    with gathered(sharded):
        for batch in inputs:
            torch.testing.assert_close(sharded(batch), plain(batch))
    assert all(isinstance(share, DTensor) for share in sharded.parameters())
