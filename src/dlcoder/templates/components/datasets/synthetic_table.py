"""Tables with a real signal, made on the fly: each class is a cloud around a center.

Shapes: features (F,), float32, of about zero mean and unit variance; label (), int64.
"""

import math

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.utils.seeding import mix_seed


class SyntheticTable(Dataset[tuple[Tensor, Tensor]]):
    """A learnable table of classes, the same for the same arguments.

    Centers are the same for every seed: seeds differ in rows and noise, so that
    training and validation ask the same question.

    Args:
        length: The number of samples.
        num_features: F.
        num_classes: The number of classes, C. Sample i has class i modulo C.
        seed: What rows depend on. Give splits different seeds.
        noise: Standard deviation of the noise, where that of the centers is 1.
    """

    def __init__(
        self,
        length: int,
        *,
        num_features: int,
        num_classes: int,
        seed: int,
        noise: float = 1.0,
    ) -> None:
        self.length = length
        self.num_features = num_features
        self.classes = [f"class_{label}" for label in range(num_classes)]
        self.seed = seed
        self.noise = noise
        generator = torch.Generator().manual_seed(num_classes)
        self.centers = torch.randn(num_classes, num_features, generator=generator)

    def fingerprint(self) -> str:
        """What tells this version of the data from another."""
        return (
            f"synthetic table length={self.length} features={self.num_features} "
            f"classes={len(self.classes)} seed={self.seed} noise={self.noise}"
        )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        label = index % len(self.classes)
        generator = torch.Generator().manual_seed(mix_seed(self.seed, index))
        noise = torch.randn(self.num_features, generator=generator)
        features = self.centers[label] + self.noise * noise
        return features / math.hypot(1.0, self.noise), torch.tensor(label)
