"""Frechet distance between the features of real and generated images (FID's formula).

    d^2 = |m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2))

Only scores from the same feature network, resizing and number of samples (10,000 or
more) can be compared. Fewer samples than dimensions leave the covariance without full
rank; the distance stays real, and too large.

Shapes: features (N, D), sums (2, D + 1, D + 1) of real and generated features and their
products, in float64, which add up over batches and ranks.
Reference: Heusel et al., arXiv:1706.08500.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


class FrechetSums:
    """Number, sum and sum of products of real and of generated features.

    Args:
        dim: D.
        device: Where batches come from.
    """

    def __init__(self, dim: int, device: torch.device | str = "cpu") -> None:
        # The row and column beyond D hold the sums, and the corner the number.
        self.sums = torch.zeros(2, dim + 1, dim + 1, dtype=torch.float64, device=device)

    @torch.no_grad()
    def update(self, real: Tensor, generated: Tensor) -> None:
        """Add a batch of features of each kind, (B, D) and (B', D); B may be 0."""
        for index, features in enumerate((real, generated)):
            extended = F.pad(features.double(), (0, 1), value=1.0)
            self.sums[index] += extended.T @ extended


def frechet_distance(sums: Tensor) -> float:
    """Return d^2 of sums (2, D + 1, D + 1), added up over ranks.

    Raises:
        ValueError: There are fewer than two samples of a kind.
    """
    (mean_1, covariance_1), (mean_2, covariance_2) = map(_moments, sums)
    # The trace of (C1 C2)^(1/2) from a symmetric product, whose eigenvalues are real.
    root = _root(covariance_1)
    eigenvalues = torch.linalg.eigvalsh(root @ covariance_2 @ root)
    trace_root = eigenvalues.clamp(min=0).sqrt().sum()
    traces = covariance_1.trace() + covariance_2.trace()
    distance = (mean_1 - mean_2).square().sum() + traces - 2 * trace_root
    return float(distance.clamp(min=0))


def _moments(sums: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean (D,) and covariance (D, D)."""
    count = sums[-1, -1]
    if count < 2:
        raise ValueError(f"a covariance needs two samples or more, got {int(count)}")
    mean = sums[-1, :-1] / count
    products = sums[:-1, :-1] - count * torch.outer(mean, mean)
    return mean, products / (count - 1)


def _root(matrix: Tensor) -> Tensor:
    """Return the square root of a symmetric matrix without negative eigenvalues."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = vectors * values.clamp(min=0).sqrt() @ vectors.T
    return root
