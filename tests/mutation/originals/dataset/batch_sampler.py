"""A sampler of whole batches: every rank gets its part of the full global batches, and the rest is left out."""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


class GlobalBatches(Sampler[list[int]]):
    """Batches of one rank, equally many on all."""

    def __init__(self, length: int, batch_size: int = 2, world_size: int = 1, rank: int = 0, seed: int = 0) -> None:
        self.length = length
        self.batch_size = batch_size
        self.world_size = world_size
        self.rank = rank
        self.seed = seed

    def __len__(self) -> int:
        return self.length // (self.batch_size * self.world_size)

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(self.length, generator=generator)
        size = self.batch_size * self.world_size
        for batch in order[: len(self) * size].split(size):
            yield batch[self.rank :: self.world_size].tolist()
