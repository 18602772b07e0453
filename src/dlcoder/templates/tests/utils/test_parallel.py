"""Tests of data parallelism, with two real processes."""

import copy
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import spawn

from dlcoder.templates.components.utils.distributed import World, end_process, gather
from dlcoder.templates.components.utils.parallel import (
    gradient_sync,
    parallelize,
    unwrap,
)


def test_a_process_alone_is_not_wrapped() -> None:
    model = nn.Linear(1, 1)
    alone = World(rank=0, size=1, device=torch.device("cpu"))
    assert parallelize(model, alone) is model
    assert unwrap(model) is model


def test_two_ranks_average_their_gradients_when_they_are_told_to(
    tmp_path: Path,
) -> None:
    # Not forked: a process that has computed in several threads cannot be.
    spawn(_rank, args=(str(tmp_path / "meeting"),), nprocs=2)


# needs: parallelize.find_unused_parameters
def test_a_network_that_leaves_parameters_out_trains_if_that_is_said(
    tmp_path: Path,
) -> None:
    spawn(_rank_with_a_choice, args=(str(tmp_path / "meeting"),), nprocs=2)


class _Choice(nn.Module):
    """A network of two branches, of which a pass takes one."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Linear(1, 1) for _ in range(2))

    def forward(self, x: Tensor, branch: int) -> Tensor:
        output: Tensor = self.branches[branch](x)
        return output


def _rank_with_a_choice(rank: int, meeting: str) -> None:
    _join(rank, meeting)
    world = World(rank, 2, torch.device("cpu"))
    model = parallelize(_Choice(), world, find_unused_parameters=True, bucket_cap_mb=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = copy.deepcopy(unwrap(model).state_dict())
    for branch in (0, 1, 1):
        # Not the same branch on all ranks: each waits for what it did not use itself.
        model(torch.ones(1, 1), (branch + rank) % 2).sum().backward()
        optimizer.step()
    after = unwrap(model).state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before)
    assert len(set(gather(str(after)))) == 1, "ranks have different weights"

    forgotten = parallelize(_Choice(), world)
    forgotten(torch.ones(1, 1), 0).sum().backward()
    with pytest.raises(RuntimeError, match="find_unused_parameters=True"):
        forgotten(torch.ones(1, 1), 0)
    os.environ["RANK"] = str(rank)
    end_process(0)


def _join(rank: int, meeting: str) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=2
    )


def _rank(rank: int, meeting: str) -> None:
    _join(rank, meeting)
    _check_gradients(World(rank, 2, torch.device("cpu")))
    os.environ["RANK"] = str(rank)
    end_process(0)


def _check_gradients(world: World) -> None:
    torch.manual_seed(world.rank)
    model = parallelize(nn.Linear(1, 1, bias=False), world)
    weight = unwrap(model).get_parameter("weight")
    assert len(set(gather(float(weight.detach())))) == 1
    for enabled, expected in ((False, 1.0 + world.rank), (True, 3.0 + world.rank / 2)):
        with gradient_sync(model, enabled=enabled):
            model(torch.full((1, 1), 1.0 + world.rank)).sum().backward()
        assert weight.grad is not None
        if not enabled:
            assert float(weight.grad) == expected
    # The mean over ranks of what both passes added up: (2 * 1 + 2 * 2) / 2.
    assert weight.grad is not None
    assert float(weight.grad) == 3.0
