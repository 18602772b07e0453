"""Frechet distance between the features of real and generated images (FID's formula).

    d^2 = |m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2))

Only scores from the same feature network, resizing and number of samples (10,000 or
more) can be compared. Fewer samples than dimensions leave
the covariance without full rank; the distance stays real, and too large.

Shapes: features (N, D). Sums of features and of their products, in float64, add up over
batches and ranks.
Reference: Heusel et al., arXiv:1706.08500.
"""

import torch
from torch import Tensor


class FeatureMoments:
    """Number, sum and sum of products of features.

    Args:
        dim: D.
        device: Where batches come from.
    """

    def __init__(self, dim: int, device: torch.device | str = "cpu") -> None:
        # The row and column beyond D hold the sums, and the corner the number.
        self.sums = torch.zeros(dim + 1, dim + 1, dtype=torch.float64, device=device)

    @torch.no_grad()
    def update(self, features: Tensor) -> None:
        """Add one batch of features (B, D)."""
        extended = torch.nn.functional.pad(features.double(), (0, 1), value=1.0)
        self.sums += extended.T @ extended


def frechet_distance(real: Tensor, generated: Tensor) -> float:
    """Return d^2 of two sums of `FeatureMoments` (D + 1, D + 1).

    Raises:
        ValueError: One of them has fewer than two samples.
    """
    mean_1, covariance_1 = _moments(real)
    mean_2, covariance_2 = _moments(generated)
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
