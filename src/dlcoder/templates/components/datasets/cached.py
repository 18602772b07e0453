"""A dataset whose items are computed once: kept in memory, or on disk.

Only what is the same in every epoch may be cached: decoding and scaling, not random
augmentation, which goes around the cache.

On disk, an item's key holds the fingerprint of the data, what the transform is (its
source and its settings), and a version: whichever changes, items are made anew.
"""

import hashlib
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
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

    Any number of processes, on any number of machines, may share the folder.

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
        # Renamed when complete: others see the whole file, or none. The name is one
        # that no other process, on this machine or another, can have chosen.
        unfinished = path.with_suffix(f".{uuid4().hex}.partial")
        torch.save([_alone(part) for part in item], unfinished)
        unfinished.replace(path)
        return item


def describe(value: Any) -> str:
    """What a transform does, as text: its source, its settings, and what it encloses.

    Functions that it calls by a global name are not followed: the version tells those.
    """
    if isinstance(value, Tensor):
        # As bytes: NumPy lacks some of the types.
        flat = value.detach().cpu().contiguous().reshape(-1)
        return f"{value.dtype} {value.shape} {describe(flat.view(torch.uint8).numpy())}"
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(value.tobytes()).hexdigest()
        return f"{value.dtype} {value.shape} {digest}"
    if isinstance(value, partial):
        return f"partial {describe([value.func, value.args, value.keywords])}"
    if isinstance(value, dict):
        return describe([[key, value[key]] for key in sorted(value, key=str)])
    if isinstance(value, list | tuple):
        return f"[{', '.join(describe(part) for part in value)}]"
    if inspect.ismethod(value):
        return describe([value.__func__, value.__self__])
    if inspect.isfunction(value):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        within = [cells, value.__defaults__, value.__kwdefaults__]
        return f"{_source(value)} {describe(within)}"
    if isinstance(value, type) or inspect.isroutine(value):
        return _source(value)
    if hasattr(value, "__dict__"):
        return f"{_source(type(value))} {describe(vars(value))}"
    return repr(value)


def _source(code: Any) -> str:
    try:
        source = inspect.getsource(code)
    except (OSError, TypeError):
        # Typed in, or compiled: the version must tell changes then.
        source = ""
    return f"{code.__module__}.{code.__qualname__} {source}"


def _make(
    dataset: Dataset[Any], index: int, transform: Callable[..., Item] | None
) -> Item:
    item = tuple(dataset[index])
    return item if transform is None else tuple(transform(*item))


def _alone(part: Any) -> Any:
    # A view would be written with all that it is a view of.
    return part.clone() if isinstance(part, Tensor) else part
