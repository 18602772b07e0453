"""Images with a real signal, made on the fly: nothing to download, something to learn.

Each class is one wave pattern with its own direction, wavelength and color. A sample is
that pattern with a random phase under Gaussian noise, so that no single pixel gives the
class away but a small convolutional network finds it.

Shapes: image (3, H, W), float32, about zero mean and unit variance.
"""

import math

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.utils.seeding import mix_seed


class SyntheticImages(Dataset[tuple[Tensor, int]]):
    """A learnable classification dataset, the same for the same arguments.

    Args:
        length: The number of samples. Labels go round, so classes are balanced.
        num_classes: The number of classes, C.
        image_size: Height and width in pixels.
        seed: What phases and noise depend on. Give splits different seeds.
        noise: Standard deviation of the noise, where the signal's is 1.
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
        return [f"class_{label}" for label in range(self.num_classes)]

    def fingerprint(self) -> str:
        """What tells this version of the data from another."""
        return (
            f"synthetic length={self.length} classes={self.num_classes} "
            f"size={self.image_size} seed={self.seed} noise={self.noise}"
        )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        label = index % self.num_classes
        generator = torch.Generator().manual_seed(mix_seed(self.seed, index))
        phase = 2 * math.pi * float(torch.rand((), generator=generator))
        wave = math.sqrt(2) * torch.sin(self._angles(label) + phase)
        noise = torch.randn(3, *wave.shape, generator=generator)
        return (_color(label) * wave + self.noise * noise) / math.hypot(
            1.0, self.noise
        ), label

    def _angles(self, label: int) -> Tensor:
        """The phase of the class's plane wave at each pixel, (H, W), in radians."""
        direction = math.pi * label / self.num_classes
        cycles = 2 + label % 3
        axis = torch.linspace(0, 2 * math.pi * cycles, self.image_size)
        return math.cos(direction) * axis + math.sin(direction) * axis[:, None]


def _color(label: int) -> Tensor:
    """A weight for each channel, (3, 1, 1), of unit mean square."""
    shades = torch.tensor([math.cos(label + 2 * math.pi * c / 3) for c in range(3)])
    return (shades * math.sqrt(2)).reshape(3, 1, 1)
