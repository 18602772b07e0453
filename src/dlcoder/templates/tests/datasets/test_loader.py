"""Tests of the loader."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    IterableDataset,
    SequentialSampler,
    TensorDataset,
)

from dlcoder.templates.components.datasets.loader import make_loader, windows

DATA = TensorDataset(torch.arange(7))
CPU = torch.device("cpu")


def test_the_last_batch_may_be_smaller() -> None:
    loader = make_loader(
        DATA, device=CPU, workers=0, sampler=SequentialSampler(DATA), batch_size=3
    )
    assert [batch[0].tolist() for batch in loader] == [[0, 1, 2], [3, 4, 5], [6]]


def test_batches_come_as_the_batch_sampler_says() -> None:
    batches = BatchSampler([4, 2, 0], batch_size=2, drop_last=False)
    loader = make_loader(DATA, device=CPU, workers=0, batch_sampler=batches)
    assert [batch[0].tolist() for batch in loader] == [[4, 2], [0]]


class Stream(IterableDataset[Tensor]):
    """A dataset that yields batches."""

    def __iter__(self) -> Iterator[Tensor]:
        return iter(torch.arange(4).split(2))


def test_a_stream_decides_what_its_batches_are() -> None:
    loader = make_loader(Stream(), device=CPU, workers=0, batch_size=None)
    assert [batch.tolist() for batch in loader] == [[0, 1], [2, 3]]


def test_an_iteration_leaves_the_global_random_state_alone() -> None:
    loader = make_loader(DATA, device=CPU, workers=0, sampler=SequentialSampler(DATA))
    before = torch.get_rng_state()
    list(loader)
    assert torch.equal(before, torch.get_rng_state())


def test_the_workers_random_numbers_follow_from_the_seed_of_the_process() -> None:
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        loader = make_loader(DATA, device=CPU, workers=0, batch_size=7)
        assert loader.generator is not None
        draws.append(float(torch.rand((), generator=loader.generator)))
    assert draws[0] == draws[1] != draws[2]


def test_the_last_window_holds_what_is_left() -> None:
    assert list(windows(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(windows([], 3)) == []
