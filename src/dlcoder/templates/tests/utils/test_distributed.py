"""Tests of what processes share, with two real ones."""

import os
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.multiprocessing.spawn import spawn

from dlcoder.templates.components.utils.distributed import (
    World,
    end_process,
    from_main,
    gather,
    join_world,
    on_any_rank,
    share_buffers,
    sum_over_ranks,
)


def test_alone_everything_is_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    world = join_world()
    assert (world.rank, world.size, world.is_main) == (0, 1, True)
    assert sum_over_ranks(torch.ones(2)).tolist() == [1, 1]
    assert (from_main(3), gather(3), on_any_rank(True, world)) == (3, [3], True)


def test_the_exit_status_is_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(SystemExit, match="143"):
        end_process(143)


def test_two_ranks_agree(tmp_path: Path) -> None:
    # Not forked: a process that has computed in several threads cannot be.
    spawn(_rank, args=(str(tmp_path / "meeting"),), nprocs=2)


def _rank(rank: int, meeting: str) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=2
    )
    world = World(rank, 2, torch.device("cpu"))
    mine = torch.tensor([1.0 + rank])
    assert sum_over_ranks(mine).tolist() == [3]
    assert mine.tolist() == [1.0 + rank]
    assert from_main(f"rank {rank}") == "rank 0"
    assert gather(rank) == [0, 1]
    assert on_any_rank(rank == 1, world)
    assert not on_any_rank(False, world)
    norm = nn.BatchNorm1d(1)
    norm(torch.randn(4, 1) + 10 * rank)
    share_buffers(norm)
    means = gather(norm.get_buffer("running_mean").tolist())
    assert means[0] == means[1]
    os.environ["RANK"] = str(rank)
    end_process(0)
