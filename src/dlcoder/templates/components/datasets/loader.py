"""A loader that keeps the device busy and leaves the global random state alone."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

T = TypeVar("T")


def make_loader(
    dataset: Dataset[Any],
    *,
    device: torch.device,
    workers: int,
    batch_sampler: Sampler[list[Any]] | None = None,
    sampler: Sampler[Any] | None = None,
    batch_size: int | None = 1,
    collate: Callable[[Any], Any] | None = None,
) -> DataLoader[Any]:
    """Build a loader: from batches, from single samples, or of a stream of batches.

    Args:
        dataset: Indexed by what the sampler yields.
        device: Where batches will go: pinned memory makes the copy to a GPU
            asynchronous.
        workers: Processes that read ahead; 0 reads in the training process.
        batch_sampler: Yields whole batches. Or else:
        sampler: Yields single indices, which go together in batches of
        batch_size: samples; None for a dataset that yields batches itself.
        collate: Makes a batch of samples; None stacks them.
    """
    batching: dict[str, Any] = (
        {"batch_sampler": batch_sampler}
        if batch_sampler is not None
        else {"sampler": sampler, "batch_size": batch_size}
    )
    return DataLoader(
        dataset,
        **batching,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=device.type == "cuda",
        persistent_workers=workers > 0,
        # Without one of its own, every new iteration draws from the global generator,
        # and a resumed run would go on with another random state. Its seed is that of
        # the global one, so that workers of two ranks, or runs, do not draw the same.
        generator=torch.Generator().manual_seed(torch.initial_seed()),
    )


def windows(batches: Iterable[T], size: int) -> Iterator[list[T]]:
    """Group batches for accumulation: `size` at a time, fewer at the end."""
    iterator = iter(batches)
    while window := list(islice(iterator, size)):
        yield window
