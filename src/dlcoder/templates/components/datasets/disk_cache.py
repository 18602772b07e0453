"""A dataset whose items are computed once and kept on disk.

Only what is the same in every epoch may be cached: decoding and scaling, not random
augmentation, which goes around the cache.

An item's key holds the fingerprint of the data, the source of the dataset's class, what
the transform is, and a version: whichever changes, items are made anew.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.utils.describe import describe

Item = tuple[Any, ...]


class DiskCache(Dataset[Item]):
    """Items on disk, each written when it is first asked for.

    Any number of processes, on any number of machines, may share the folder.

    Args:
        dataset: Gives a tuple of tensors and numbers for an index, and has a
            `fingerprint()`.
        folder: Where the files go.
        transform: Called with the tuple's parts; returns a tuple.
        version: Change it with anything else that items depend on: settings of the
            dataset that its fingerprint leaves out, such as the size of images, or
            code that dataset and transform call.
    """

    def __init__(
        self,
        dataset: Any,
        folder: str | Path,
        *,
        transform: Callable[..., Item] | None = None,
        version: str = "",
    ) -> None:
        self.dataset = dataset
        self.transform = transform
        parts = [dataset.fingerprint(), describe(type(dataset)), version]
        if transform is not None:
            parts.append(describe(transform))
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        self.folder = Path(folder) / key[:16]
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
        item = tuple(self.dataset[index])
        if self.transform is not None:
            item = tuple(self.transform(*item))
        # Renamed when complete: others see the whole file, or none. The name is one
        # that no other process, on this machine or another, can have chosen.
        unfinished = path.with_suffix(f".{uuid4().hex}.partial")
        torch.save([_alone(part) for part in item], unfinished)
        unfinished.replace(path)
        return item


def _alone(part: Any) -> Any:
    # A view would be written with all that it is a view of.
    return part.clone() if isinstance(part, Tensor) else part
