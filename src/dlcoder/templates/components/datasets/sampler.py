"""Which samples a rank sees, in which order, from which position.

The order of an epoch depends on (seed, epoch) alone: not on the number of ranks, of
workers, or on where a run was interrupted. A global batch of W ranks times B samples
holds the same samples as one of a single rank with W * B.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import Sampler

from dlcoder.templates.components.utils.seeding import mix_seed


class ResumableBatchSampler(Sampler[list[Any]]):
    """One rank's share of shuffled global batches, which can start at any batch.

    Every rank gets equally many full batches: what is left at the end of an epoch is
    too little for one more, and gets its turn in another epoch's order.

    Args:
        length: The number of samples in the dataset.
        batch_size: Samples in a batch of one rank, B.
        seed: What the order depends on, beside the epoch.
        rank: This process's number.
        world_size: The number of processes, W.
        with_epoch: Yield (epoch, index) instead of index, for samples that are to
            differ from epoch to epoch.

    Raises:
        ValueError: The dataset does not fill one global batch.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        with_epoch: bool = False,
    ) -> None:
        self.length = length
        self.global_batch = batch_size * world_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.with_epoch = with_epoch
        self.epoch = 0
        self.first_batch = 0
        if length < self.global_batch:
            raise ValueError(
                f"{length} training samples do not fill one batch of {batch_size} on "
                f"{world_size} process(es): lower the batch size to at most "
                f"{length // world_size}."
            )

    def seek(self, epoch: int, batch: int = 0) -> None:
        """Let the next iteration begin at `batch` of `epoch`.

        The position is told, not counted here: workers draw batches long before the
        model sees them.
        """
        self.epoch = epoch
        self.first_batch = batch

    def __len__(self) -> int:
        return self.length // self.global_batch

    def __iter__(self) -> Iterator[list[Any]]:
        generator = torch.Generator()
        generator.manual_seed(mix_seed(self.seed, self.epoch))
        order = torch.randperm(self.length, generator=generator)
        for batch in range(self.first_batch, len(self)):
            start = batch * self.global_batch
            # Strided, so that W ranks together hold exactly the global batch.
            stop = start + self.global_batch
            share = order[start + self.rank : stop : self.world_size].tolist()
            if self.with_epoch:
                share = [(self.epoch, index) for index in share]
            yield share


class ShardSampler(Sampler[int]):
    """One rank's share of a dataset for evaluation: every sample once, no duplicates.

    Shares differ by at most one sample. `DistributedSampler` would pad them to equal
    length with duplicates, which then count twice in the metrics.
    """

    def __init__(self, length: int, *, rank: int = 0, world_size: int = 1) -> None:
        self.indices = range(rank, length, world_size)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)
