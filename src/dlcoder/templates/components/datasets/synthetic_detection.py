"""Images with boxes, made on the fly: colored rectangles under noise, or none at all.

A class is a color that the noise nearly hides in one pixel. Objects may overlap, and a
later one hides an earlier.

Shapes: image (3, H, W), float32; boxes (N, 4), float32, x1, y1, x2, y2 in pixels;
labels (N,), int64; N from 0 to 3.
"""

import math

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.datasets.pad_boxes import pad_boxes
from dlcoder.templates.components.utils.seeding import mix_seed

MOST = 3
"""The most objects in an image."""


class SyntheticDetection(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """A learnable detection dataset, the same for the same arguments.

    Args:
        length: The number of samples.
        num_classes: The number of classes, C, without a background.
        image_size: Height and width in pixels.
        seed: What objects and noise depend on. Give splits different seeds.
        noise: Standard deviation of the noise, where the signal's is about 1.
    """

    collate_fn = staticmethod(pad_boxes)
    """What a loader needs, since images differ in their number of boxes."""

    def __init__(
        self,
        length: int,
        *,
        num_classes: int,
        image_size: int,
        seed: int,
        noise: float = 0.5,
    ) -> None:
        self.length = length
        self.num_classes = num_classes
        self.image_size = image_size
        self.seed = seed
        self.noise = noise

    @property
    def classes(self) -> list[str]:
        """The names of the classes, by label."""
        return [f"class_{label}" for label in range(self.num_classes)]

    def fingerprint(self) -> str:
        """What tells this version of the data from another."""
        return (
            f"synthetic detection length={self.length} classes={self.num_classes} "
            f"size={self.image_size} seed={self.seed} noise={self.noise}"
        )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(mix_seed(self.seed, index))
        count = int(torch.randint(MOST + 1, (), generator=generator))
        labels = torch.randint(self.num_classes, (count,), generator=generator)
        boxes = self._boxes(count, generator)
        image = torch.zeros(3, self.image_size, self.image_size)
        for box, label in zip(boxes.long().tolist(), labels.tolist(), strict=True):
            left, top, right, bottom = box
            image[:, top:bottom, left:right] = _color(label, self.num_classes)
        noise = torch.randn(image.shape, generator=generator)
        return image + self.noise * noise, boxes, labels

    def _boxes(self, count: int, generator: torch.Generator) -> Tensor:
        """Boxes (N, 4) of a quarter to a half of the image's side, whole pixels."""
        parts = torch.rand(count, 4, generator=generator)
        sides = (self.image_size * (0.25 + 0.25 * parts[:, 2:])).round()
        corners = ((self.image_size - sides) * parts[:, :2]).round()
        return torch.cat([corners, corners + sides], dim=1)


def _color(label: int, num_classes: int) -> Tensor:
    """A color (3, 1, 1) of unit mean square: classes are equally far apart in hue."""
    hue = 2 * math.pi * (label / num_classes - torch.arange(3) / 3)
    return (math.sqrt(2) * torch.cos(hue)).reshape(3, 1, 1)
