"""MixUp and CutMix: each image of a batch is blended with another, and so are labels.

    MixUp    x = w x_i + (1 - w) x_j              over the whole image
    CutMix   x = x_i, with a rectangle of x_j     w is the part that is left of x_i
    label    y = w onehot(y_i) + (1 - w) onehot(y_j)

with w drawn from Beta(alpha, alpha), once a batch. Train with `F.cross_entropy`, which
takes probabilities. Accuracy on mixed images means little.

Shapes: images (B, 3, H, W), labels (B,); soft labels (B, C).

Papers: arXiv:1710.09412 (MixUp), arXiv:1905.04899 (CutMix).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


class MixUp:
    """Mixes a batch with itself in another order.

    Args:
        num_classes: The number of classes, C.
        alpha: Of MixUp: the greater, the more even the blends.
        cutmix_alpha: Of CutMix.
        cutmix: The part of the batches that are mixed by CutMix instead.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        alpha: float = 0.2,
        cutmix_alpha: float = 1.0,
        cutmix: float = 0.5,
    ) -> None:
        self.num_classes = num_classes
        self.alpha = alpha
        self.cutmix_alpha = cutmix_alpha
        self.cutmix = cutmix

    def __call__(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return mixed images, and labels as probabilities (B, C), float32.

        Args:
            images: (B, 3, H, W).
            labels: (B,).
            generator: What randomness comes from, on the CPU.
        """
        seed = int(torch.randint(2**62, (), generator=generator))
        rng = np.random.default_rng(seed)
        # To a distance that changes: the same two would meet in every batch of a
        # sorted dataset.
        distance = int(rng.integers(1, max(2, len(images))))
        others, other_labels = images.roll(distance, 0), labels.roll(distance, 0)
        if rng.random() < self.cutmix:
            weight = float(rng.beta(self.cutmix_alpha, self.cutmix_alpha))
            images, weight = _paste(images, others, weight, rng)
        else:
            weight = float(rng.beta(self.alpha, self.alpha))
            images = torch.lerp(others, images, weight)
        first = F.one_hot(labels, self.num_classes).float()
        second = F.one_hot(other_labels, self.num_classes).float()
        return images, torch.lerp(second, first, weight)


def _paste(
    images: Tensor, others: Tensor, weight: float, rng: np.random.Generator
) -> tuple[Tensor, float]:
    """Paste a rectangle of about (1 - weight) of the area; return its true weight."""
    height, width = images.shape[-2:]
    rows = round(height * (1 - weight) ** 0.5)
    columns = round(width * (1 - weight) ** 0.5)
    top = int(rng.integers(0, height - rows + 1))
    left = int(rng.integers(0, width - columns + 1))
    images = images.clone()
    place = (..., slice(top, top + rows), slice(left, left + columns))
    images[place] = others[place]
    return images, 1 - rows * columns / (height * width)
