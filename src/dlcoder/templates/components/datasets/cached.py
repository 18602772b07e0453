"""A dataset whose items are computed once: kept in memory, or on disk.

Only what is the same in every epoch may be cached: decoding and scaling, not random
augmentation, which goes around the cache.

On disk, an item's key holds the fingerprint of the data, what the transform is (its
source and its settings), and a version: whichever changes, items are made anew.
"""

import hashlib
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

Item = tuple[Any, ...]


class MemoryCache(Dataset[Item]):
    """All items in memory, read when this is made.

    Made before the workers start, the memory is shared by all of them.

    Args:
        dataset: Gives a tuple of tensors and numbers for an index.
        transform: Called with the tuple's parts; returns a tuple.
    """

    def __init__(
        self, dataset: Dataset[Any], transform: Callable[..., Item] | None = None
    ) -> None:
        length = len(dataset)  # type: ignore[arg-type]
        self.items = [_make(dataset, index, transform) for index in range(length)]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Item:
        # Copied: what is changed later must not reach the cache.
        return tuple(
            part.clone() if isinstance(part, Tensor) else part
            for part in self.items[index]
        )


class DiskCache(Dataset[Item]):
    """Items on disk, each written when it is first asked for.

    Any number of processes may share the folder.

    Args:
        dataset: Gives a tuple of tensors and numbers for an index, and has a
            `fingerprint()`.
        folder: Where the files go.
        transform: Called with the tuple's parts; returns a tuple.
        version: Change it when the transform calls code that has changed.
    """

    def __init__(
        self,
        dataset: Any,
        folder: str | Path,
        transform: Callable[..., Item] | None = None,
        *,
        version: str = "",
    ) -> None:
        self.dataset = dataset
        self.transform = transform
        key = "\0".join([dataset.fingerprint(), describe(transform), version])
        self.folder = Path(folder) / hashlib.sha256(key.encode()).hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)

    def fingerprint(self) -> str:
        """What tells this version of the data from another."""
        return f"{self.dataset.fingerprint()} cached as {self.folder.name}"

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Item:
        path = self.folder / f"{index}.pt"
        if path.exists():
            return tuple(torch.load(path, weights_only=True))
        item = _make(self.dataset, index, self.transform)
        # Renamed when complete: others see the whole file, or none.
        partial = path.with_suffix(f".{os.getpid()}.partial")
        torch.save([_alone(part) for part in item], partial)
        partial.replace(path)
        return item


def describe(transform: Callable[..., Any] | None) -> str:
    """What a transform does, as text: its name, its source and its settings."""
    if transform is None:
        return "none"
    code = transform if inspect.isroutine(transform) else type(transform)
    settings = {} if inspect.isroutine(transform) else vars(transform)
    try:
        source = inspect.getsource(code)
    except (OSError, TypeError):
        # Typed in, or compiled: the version must tell changes then.
        source = ""
    return f"{code.__module__}.{code.__qualname__} {sorted(settings.items())}\n{source}"


def _make(
    dataset: Dataset[Any], index: int, transform: Callable[..., Item] | None
) -> Item:
    item = tuple(dataset[index])
    return item if transform is None else tuple(transform(*item))


def _alone(part: Any) -> Any:
    # A view would be written with all that it is a view of.
    return part.clone() if isinstance(part, Tensor) else part
