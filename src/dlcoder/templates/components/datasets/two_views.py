"""Two random views of each image, for contrastive learning.

The randomness of a view depends on (seed, epoch, index) and on which of the two it is,
and on nothing else.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.utils.seeding import mix_seed

Draw = tuple[int, int]
"""(epoch, index), as `ResumableBatchSampler` yields them with `with_epoch`."""

Augment = Callable[[Tensor, torch.Generator], Tensor]


class TwoViews(Dataset[tuple[Tensor, Tensor]]):
    """A dataset of pairs of views of an image, (3, H, W) each.

    Args:
        dataset: Gives a tuple for an index, the image (3, H, W) first.
        augment: Called with the image and the generator that it must draw from.
        seed: What the views depend on, beside epoch and index.
    """

    def __init__(self, dataset: Dataset[Any], augment: Augment, *, seed: int) -> None:
        self.dataset = dataset
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor]:
        image = self.dataset[draw[1]][0]
        return self._view(image, draw, 0), self._view(image, draw, 1)

    def _view(self, image: Tensor, draw: Draw, number: int) -> Tensor:
        generator = torch.Generator().manual_seed(mix_seed(self.seed, *draw, number))
        return self.augment(image, generator)
