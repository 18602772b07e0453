"""A dataset whose items are computed once and kept in memory.

Only what is the same in every epoch may be cached: decoding and scaling, not random
augmentation, which goes around the cache.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

Item = tuple[Any, ...]


class MemoryCache(Dataset[Item]):
    """All items in memory, read when this is made.

    Made before the workers start, the memory is shared by all workers of a process;
    each process of a distributed run has its own.

    Args:
        dataset: Gives a tuple of tensors and numbers for an index.
        transform: Called with the tuple's parts; returns a tuple.
    """

    def __init__(
        self, dataset: Dataset[Any], *, transform: Callable[..., Item] | None = None
    ) -> None:
        self.items: list[Item] = []
        for index in range(len(dataset)):  # type: ignore[arg-type]
            item = tuple(dataset[index])
            if transform is not None:
                item = tuple(transform(*item))
            self.items.append(item)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Item:
        # Copied: what is changed later must not reach the cache.
        return tuple(
            part.clone() if isinstance(part, Tensor) else part
            for part in self.items[index]
        )
