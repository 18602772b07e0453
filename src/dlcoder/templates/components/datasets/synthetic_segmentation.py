"""Images with masks, made on the fly: discs and bars of textured classes under noise.

Class 0 is the background. Each other class has a color that the noise nearly hides in
one pixel, so that a network must look at the neighborhood. Borders do not count, as in
datasets that people have labeled.

Shapes: image (3, H, W), float32; mask (H, W), int64, 255 for pixels that do not count.
"""

import math

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.utils.seeding import mix_seed

IGNORE = 255
OBJECTS = 3


class SyntheticSegmentation(Dataset[tuple[Tensor, Tensor]]):
    """A learnable segmentation dataset, the same for the same arguments.

    Args:
        length: The number of samples.
        num_classes: The number of classes, C, with the background.
        image_size: Height and width in pixels.
        seed: What shapes, places and noise depend on. Give splits different seeds.
        noise: Standard deviation of the noise, where the signal's is about 1.
    """

    def __init__(
        self,
        length: int,
        *,
        num_classes: int,
        image_size: int,
        seed: int,
        noise: float = 1.0,
    ) -> None:
        self.length = length
        self.num_classes = num_classes
        self.image_size = image_size
        self.seed = seed
        self.noise = noise

    @property
    def classes(self) -> list[str]:
        """The names of the classes, by label."""
        return ["background", *(f"class_{c}" for c in range(1, self.num_classes))]

    def fingerprint(self) -> str:
        """What tells this version of the data from another."""
        return (
            f"synthetic segmentation length={self.length} classes={self.num_classes} "
            f"size={self.image_size} seed={self.seed} noise={self.noise}"
        )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(mix_seed(self.seed, index))
        size = self.image_size
        mask = torch.zeros(size, size, dtype=torch.int64)
        for _ in range(OBJECTS):
            shape, border = self._shape(generator)
            low, high = 1, max(self.num_classes, 2)
            label = int(torch.randint(low, high, (), generator=generator))
            mask[shape] = min(label, self.num_classes - 1)
            mask[border] = IGNORE
        classes = torch.arange(self.num_classes)
        angles = 2 * math.pi * (classes[:, None] / self.num_classes)
        colors = math.sqrt(2) * torch.cos(angles - torch.arange(3) * 2 * math.pi / 3)
        # The pixels that do not count show the background.
        clean = colors[mask.where(mask != IGNORE, 0)].permute(2, 0, 1)
        noise = torch.randn(3, size, size, generator=generator)
        return (clean + self.noise * noise) / math.hypot(1.0, self.noise), mask

    def _shape(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The pixels inside a disc or a bar, and those on its border, each (H, W)."""
        size = self.image_size
        row, column, height, width, kind = torch.rand(5, generator=generator).tolist()
        axis = torch.arange(size) + 0.5
        down = (axis - row * size).abs()[:, None] / (size * (0.1 + 0.2 * height))
        right = (axis - column * size).abs()[None] / (size * (0.1 + 0.2 * width))
        far = torch.maximum(down, right) if kind < 0.5 else (down**2 + right**2).sqrt()
        return far < 1, (far >= 1) & (far < 1.1)
