"""Tests of the mean over batches and ranks."""

import math
import os
from pathlib import Path

import torch
from torch import distributed
from torch.multiprocessing.spawn import spawn

from dlcoder.templates.components.utils.meter import Meter


def test_batches_weigh_as_many_samples_as_they_have() -> None:
    meter = Meter()
    meter.update(torch.tensor(2.0), 3)
    meter.update(6.0, torch.tensor(1))
    assert meter.compute() == 3.0


def test_nothing_has_no_mean_and_an_empty_batch_is_nothing() -> None:
    meter = Meter()
    assert math.isnan(meter.compute())
    meter.update(float("nan"), 0)
    meter.update(1.0)
    assert meter.compute() == 1.0
    meter.reset()
    assert math.isnan(meter.compute())


def test_a_value_with_a_gradient_keeps_no_graph() -> None:
    meter = Meter()
    meter.update(torch.ones((), requires_grad=True))
    assert not meter.total.requires_grad


def test_ranks_of_different_lengths_have_one_mean(tmp_path: Path) -> None:
    spawn(_rank, args=(str(tmp_path / "meeting"),), nprocs=2)


def _rank(rank: int, meeting: str) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=2
    )
    meter = Meter()
    for value in (1.0, 2.0, 6.0)[rank:]:
        meter.update(value)
    assert meter.compute() == 17 / 5
    # Gloo's threads can hang or abort a process that ends in the ordinary way.
    os._exit(0)
