"""Random augmentation that is the same wherever and whenever a sample is drawn.

The randomness of a sample depends on (seed, epoch, index) alone. Worker processes,
their number, and where a run was interrupted therefore change nothing, and the usual
trap of workers that share one random state cannot occur.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.utils.seeding import mix_seed

Draw = tuple[int, int]
"""(epoch, index), as `ResumableBatchSampler` yields them with `with_epoch`."""

Augment = Callable[[Tensor, torch.Generator], Tensor]


class Augmented(Dataset[tuple[Tensor, int]]):
    """A dataset whose images are augmented anew in every epoch.

    It is indexed by draws: an epoch's number beside the sample's.

    Args:
        dataset: Gives (image (3, H, W), label) for an index.
        augment: Called with the image and the generator that it must draw from.
        seed: What the augmentation depends on, beside epoch and index.
    """

    def __init__(
        self, dataset: Dataset[tuple[Tensor, int]], augment: Augment, *, seed: int
    ) -> None:
        self.dataset = dataset
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, draw: Draw) -> tuple[Tensor, int]:
        epoch, index = draw
        image, label = self.dataset[index]
        generator = torch.Generator()
        generator.manual_seed(mix_seed(self.seed, epoch, index))
        return self.augment(image, generator), label
