"""Tests of the samplers."""

from typing import Any

import pytest

from dlcoder.templates.components.datasets.sampler import (
    ResumableBatchSampler,
    ShardSampler,
)


def draws(sampler: ResumableBatchSampler, epoch: int = 0, batch: int = 0) -> list[Any]:
    sampler.seek(epoch, batch)
    return list(sampler)


def test_an_epoch_has_no_sample_twice() -> None:
    batches = draws(ResumableBatchSampler(23, 4, seed=0))
    flat = [index for batch in batches for index in batch]
    assert len(flat) == len(set(flat)) == 20


def test_the_order_changes_with_epoch_and_seed_only() -> None:
    first = draws(ResumableBatchSampler(23, 4, seed=0))
    assert first == draws(ResumableBatchSampler(23, 4, seed=0))
    assert first != draws(ResumableBatchSampler(23, 4, seed=1))
    assert first != draws(ResumableBatchSampler(23, 4, seed=0), epoch=1)


def test_it_goes_on_from_any_batch() -> None:
    sampler = ResumableBatchSampler(23, 4, seed=0)
    whole = draws(sampler, epoch=3)
    for batch in range(len(whole) + 1):
        assert draws(sampler, epoch=3, batch=batch) == whole[batch:]


def test_ranks_together_draw_what_one_rank_with_larger_batches_draws() -> None:
    alone = draws(ResumableBatchSampler(23, 6, seed=0))
    ranks = [
        draws(ResumableBatchSampler(23, 2, seed=0, rank=rank, world_size=3))
        for rank in range(3)
    ]
    for number, batch in enumerate(alone):
        assert sorted(batch) == sorted(index for r in ranks for index in r[number])


def test_draws_carry_their_epoch() -> None:
    sampler = ResumableBatchSampler(8, 4, seed=0, with_epoch=True)
    assert {epoch for batch in draws(sampler, epoch=5) for epoch, _ in batch} == {5}


def test_too_little_data_is_an_error_that_names_the_remedy() -> None:
    with pytest.raises(ValueError, match="at most 3"):
        ResumableBatchSampler(7, 4, seed=0, rank=0, world_size=2)


@pytest.mark.parametrize("world_size", [1, 2, 3, 12])
def test_every_sample_is_evaluated_once(world_size: int) -> None:
    shares = [
        list(ShardSampler(10, rank=r, world_size=world_size)) for r in range(world_size)
    ]
    assert sorted(index for share in shares for index in share) == list(range(10))
