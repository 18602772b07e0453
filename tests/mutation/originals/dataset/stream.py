"""A stream of samples, shared out over ranks and workers."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info


class Stream(IterableDataset):
    """`length` vectors, each once per epoch over all ranks and workers."""

    def __init__(self, length: int, rank: int = 0, world_size: int = 1) -> None:
        self.length = length
        self.rank = rank
        self.world_size = world_size

    def __iter__(self) -> Iterator[Tensor]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        shard = self.rank * workers + worker
        for index in range(shard, self.length, self.world_size * workers):
            yield torch.full((4,), float(index))
