"""Random augmentation of whole samples: an image and the mask or boxes that go with it.

The randomness of a sample depends on (seed, epoch, index) alone. Worker processes,
their number, and where a run was interrupted therefore change nothing.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.utils.seeding import mix_seed

Draw = tuple[int, int]
"""(epoch, index), as `ResumableBatchSampler` yields them with `with_epoch`."""


class AugmentedPairs(Dataset[tuple[Tensor, ...]]):
    """A dataset whose samples are augmented anew in every epoch.

    It is indexed by draws: an epoch's number beside the sample's.

    Args:
        dataset: Gives a tuple of tensors for an index, the image first.
        augment: Called with the tensors and the generator that it must draw from.
        seed: What the augmentation depends on, beside epoch and index.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        augment: Callable[..., tuple[Tensor, ...]],
        *,
        seed: int,
    ) -> None:
        self.dataset = dataset
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, draw: Draw) -> tuple[Tensor, ...]:
        epoch, index = draw
        generator = torch.Generator()
        generator.manual_seed(mix_seed(self.seed, epoch, index))
        return self.augment(*self.dataset[index], generator)
