"""Images of several patterns at once, made on the fly.

Each class is one wave pattern with its own direction, wavelength and color, present
with a probability of 0.3, whatever else is in the image.

Shapes: image (3, H, W), float32; labels (C,), float32 of 0 and 1.
"""

import math

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.utils.seeding import mix_seed

FREQUENCY = 0.3
"""The probability that an image has a class."""


class SyntheticMultiLabel(Dataset[tuple[Tensor, Tensor]]):
    """A learnable multi-label dataset, the same for the same arguments.

    Args:
        length: The number of samples.
        num_classes: The number of classes, C.
        image_size: Height and width in pixels.
        seed: What labels, phases and noise depend on. Give splits different seeds.
        noise: Standard deviation of the noise, where that of a pattern is 1.
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
        """The names of the classes, by column."""
        return [f"class_{label}" for label in range(self.num_classes)]

    def fingerprint(self) -> str:
        """What tells this version of the data from another."""
        return (
            f"synthetic multi-label length={self.length} classes={self.num_classes} "
            f"size={self.image_size} seed={self.seed} noise={self.noise}"
        )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(mix_seed(self.seed, index))
        labels = (torch.rand(self.num_classes, generator=generator) < FREQUENCY).float()
        phases = 2 * math.pi * torch.rand(self.num_classes, generator=generator)
        size = self.image_size
        image = self.noise * torch.randn(3, size, size, generator=generator)
        for label in labels.nonzero().flatten().tolist():
            image += self._pattern(label, float(phases[label]))
        power = FREQUENCY * self.num_classes + self.noise**2
        return image / math.sqrt(power), labels

    def _pattern(self, label: int, phase: float) -> Tensor:
        """A plane wave in the class's color, (3, H, W), of unit variance."""
        direction = math.pi * label / self.num_classes
        axis = torch.linspace(0, 2 * math.pi * (2 + label % 3), self.image_size)
        across = math.cos(direction) * axis + math.sin(direction) * axis[:, None]
        channels = label + 2 * math.pi * torch.arange(3) / 3
        return 2 * torch.sin(across + phase) * torch.cos(channels)[:, None, None]
