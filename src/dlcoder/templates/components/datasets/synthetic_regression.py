"""Tables with a real signal, made on the fly: a smooth function of some columns.

    target = sum over pairs of features of  weight * sin(a) * cos(b), plus noise

A linear model finds little of it. The function is the same for every seed: seeds differ
in rows and noise, so that training and validation ask the same question.

Shapes: features (F,), targets (T,), float32, of about zero mean and unit variance.
"""

import math

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.utils.seeding import mix_seed

PAIRS = 3
"""Pairs of features that a target depends on."""


class SyntheticRegression(Dataset[tuple[Tensor, Tensor]]):
    """A learnable regression dataset, the same for the same arguments.

    Args:
        length: The number of samples.
        num_features: F.
        num_targets: T.
        seed: What rows and noise depend on. Give splits different seeds.
        noise: Standard deviation of the noise, where the signal's is about 1.
    """

    def __init__(
        self,
        length: int,
        *,
        num_features: int,
        num_targets: int,
        seed: int,
        noise: float = 0.1,
    ) -> None:
        self.length = length
        self.num_features = num_features
        self.num_targets = num_targets
        self.seed = seed
        self.noise = noise

    def fingerprint(self) -> str:
        """What tells this version of the data from another."""
        return (
            f"synthetic regression length={self.length} features={self.num_features} "
            f"targets={self.num_targets} seed={self.seed} noise={self.noise}"
        )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(mix_seed(self.seed, index))
        features = torch.randn(self.num_features, generator=generator)
        noise = torch.randn(self.num_targets, generator=generator)
        targets = torch.stack([self._signal(features, t) for t in range(len(noise))])
        return features, (targets + self.noise * noise) / math.hypot(1.0, self.noise)

    def _signal(self, features: Tensor, target: int) -> Tensor:
        """The part of a target that can be learned, a scalar."""
        first = torch.arange(2 * target, 2 * (target + PAIRS), 2) % self.num_features
        waves = features[first].sin() * features[(first + 1) % self.num_features].cos()
        # sin has a variance of 0.43 here, cos a mean square of 0.57.
        return waves.sum() / math.sqrt(PAIRS * 0.43 * 0.57)
