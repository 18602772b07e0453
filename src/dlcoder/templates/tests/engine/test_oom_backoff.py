"""Tests of splitting batches, with memory that is short on purpose."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import spawn

from dlcoder.templates.components.engine.oom_backoff import OomBackoff
from dlcoder.templates.components.utils.distributed import World, end_process

ALONE = World(rank=0, size=1, device=torch.device("cpu"))
Batch = tuple[Tensor, ...]


class ShortOfMemory(nn.Module):
    """A network for which more samples than `room` are too many.

    It fails after it has changed its statistics and drawn a random number.
    """

    seen: Tensor

    def __init__(self, room: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.room = room
        self.linear = nn.Linear(3, 2)
        self.register_buffer("seen", torch.zeros(()))
        self.sizes: list[int] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen += len(inputs)
        self.sizes.append(len(inputs))
        torch.rand(())
        if len(inputs) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate ...")
        output: Tensor = self.linear(inputs)
        return output

    def accumulate(self, micro_batches: Sequence[Batch]) -> float:
        """Run forward and backward passes; return the sum of the loss."""
        total = 0.0
        for inputs, target in micro_batches:
            loss = (self(inputs) - target).square().sum()
            loss.backward()
            total += loss.item()
        return total

    def gradient(self) -> Tensor:
        return torch.cat(
            [p.grad.flatten() for p in self.parameters() if p.grad is not None]
        )


def make_window(*sizes: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(n, 3, generator=generator), torch.randn(n, 2, generator=generator))
        for n in sizes
    ]


@pytest.mark.filterwarnings("ignore:Out of memory")
def test_pieces_have_the_gradient_and_the_statistics_of_whole_batches() -> None:
    window = make_window(7, 7, 3)
    roomy, short, ahead = ShortOfMemory(8), ShortOfMemory(2), ShortOfMemory(2)
    expected = OomBackoff(roomy, ALONE)(roomy.accumulate, window)
    torch.manual_seed(2)
    backoff = OomBackoff(short, ALONE)
    assert backoff(short.accumulate, window) == pytest.approx(expected)
    torch.testing.assert_close(short.gradient(), roomy.gradient())
    assert float(short.seen) == float(roomy.seen) == 17
    # Whole, in two, in four: a batch that fits is not tried again for its own sake.
    assert short.sizes == [7, 4, 2, 2, 2, 1, 2, 2, 2, 1, 1, 1, 1]

    # The random numbers are those of a run that knew from the beginning.
    after = torch.rand(())
    torch.manual_seed(2)
    informed = OomBackoff(ahead, ALONE)
    informed.load_state_dict(backoff.state_dict())
    informed(ahead.accumulate, window)
    assert torch.equal(torch.rand(()), after)
    assert torch.equal(ahead.gradient(), short.gradient())


def test_it_is_said_once_and_later_windows_start_in_pieces() -> None:
    short = ShortOfMemory(4)
    backoff = OomBackoff(short, ALONE)
    with pytest.warns(UserWarning, match="split into 2") as told:
        backoff(short.accumulate, make_window(8))
        backoff(short.accumulate, make_window(8))
    assert len(told) == 1
    assert short.sizes == [8, 4, 4, 4, 4]


@pytest.mark.filterwarnings("ignore:Out of memory")
def test_a_sample_that_does_not_fit_ends_the_run() -> None:
    short = ShortOfMemory(0)
    with pytest.raises(torch.OutOfMemoryError, match="Not even one sample"):
        OomBackoff(short, ALONE)(short.accumulate, make_window(4))
    assert short.sizes == [4, 2, 1]


def test_other_errors_are_not_taken_for_it() -> None:
    def fail(micro_batches: list[Batch]) -> float:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        OomBackoff(ShortOfMemory(1), ALONE)(fail, make_window(4))


def test_ranks_of_which_one_is_short_have_the_gradient_of_whole_batches(
    tmp_path: Path,
) -> None:
    # Not forked: a process that has computed in several threads cannot be.
    spawn(_rank, args=(str(tmp_path / "meeting"),), nprocs=2)


def _rank(rank: int, meeting: str) -> None:
    window = make_window(8, 8, 6, 4)
    roomy, model = ShortOfMemory(8), ShortOfMemory(3 if rank == 1 else 8)
    OomBackoff(roomy, ALONE)(roomy.accumulate, window)
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=2
    )
    backoff = OomBackoff(model, World(rank, 2, ALONE.device))
    backoff(model.accumulate, window[rank::2])
    assert backoff.pieces == 4
    # Ranks average: twice their mean is the sum.
    torch.testing.assert_close(2 * model.gradient(), roomy.gradient())
    model.room = 8 * rank
    with pytest.raises(torch.OutOfMemoryError, match="Not even one sample"):
        backoff(model.accumulate, window[rank::2])
    os.environ["RANK"] = str(rank)
    end_process(0)
