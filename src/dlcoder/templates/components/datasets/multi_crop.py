"""Several random crops of each image, for self-distillation as in DINO.

    global crops   large parts of the image, seen by teacher and student
    local crops    small parts at a lower resolution, seen by the student alone

The randomness of a crop depends on (seed, epoch, index) and on which of them it is, and
on nothing else.

Shapes: G global crops (3, S, S), then L local crops (3, s, s). A batch is a list of
G + L tensors, since the two kinds differ in size: (B, 3, S, S) and (B, 3, s, s).

Paper: Caron et al., 2020, https://arxiv.org/abs/2006.09882
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.datasets.resize import resize
from dlcoder.templates.components.utils.seeding import mix_seed

Draw = tuple[int, int]
"""(epoch, index), as `ResumableBatchSampler` yields them with `with_epoch`."""

Augment = Callable[[Tensor, torch.Generator], Tensor]


class MultiCrop(Dataset[tuple[Tensor, ...]]):
    """A dataset of crops of an image, global ones first.

    Args:
        dataset: Gives a tuple for an index, the image (3, H, W) first.
        augment: What changes a crop beside its place, called with the crop and the
            generator that it must draw from.
        seed: What the crops depend on, beside epoch and index.
        global_crops: G.
        global_size: S.
        global_area: The least part of the image's area in a global crop; the greatest
            is the whole.
        local_crops: L.
        local_size: s.
        local_area: The least part of the image's area in a local crop; the greatest is
            the least of a global one.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        augment: Augment,
        *,
        seed: int,
        global_crops: int = 2,
        global_size: int = 224,
        global_area: float = 0.4,
        local_crops: int = 8,
        local_size: int = 96,
        local_area: float = 0.05,
    ) -> None:
        self.dataset = dataset
        self.augment = augment
        self.seed = seed
        self.global_crops = global_crops
        self.global_size = global_size
        self.global_area = global_area
        self.local_crops = local_crops
        self.local_size = local_size
        self.local_area = local_area

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, draw: Draw) -> tuple[Tensor, ...]:
        image = self.dataset[draw[1]][0]
        crops = []
        for number in range(self.global_crops + self.local_crops):
            if number < self.global_crops:
                size, low, high = self.global_size, self.global_area, 1.0
            else:
                size, low, high = self.local_size, self.local_area, self.global_area
            generator = torch.Generator()
            generator.manual_seed(mix_seed(self.seed, *draw, number))
            crop = random_crop(image, size, low, high, generator)
            crops.append(self.augment(crop, generator))
        return tuple(crops)


def random_crop(
    image: Tensor, size: int, low: float, high: float, generator: torch.Generator
) -> Tensor:
    """Cut a part of an image (3, H, W) out and scale it to (3, size, size).

    Args:
        image: (3, H, W).
        size: Height and width of the result.
        low: The least part of the area that is cut out.
        high: The greatest.
        generator: What randomness comes from.
    """
    height, width = image.shape[-2:]
    draws = torch.rand(4, generator=generator).tolist()
    area = height * width * (low + (high - low) * draws[0])
    # Width to height, from 3:4 to 4:3, as likely one way as the other.
    ratio = (4 / 3) ** (2 * draws[1] - 1)
    rows = min(height, max(1, round(math.sqrt(area / ratio))))
    columns = min(width, max(1, round(math.sqrt(area * ratio))))
    top = int(draws[2] * (height - rows + 1))
    left = int(draws[3] * (width - columns + 1))
    return resize(image[:, top : top + rows, left : left + columns], size, size)
