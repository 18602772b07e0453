"""Barlow Twins: the cross-correlation of two views shall be the identity.

    L = sum_d (1 - c_dd)^2 + lambda * sum_{d != e} c_de^2
    c = correlation of x and y over the batch

Each dimension is standardized over the local batch, so a dimension that is constant
costs 1 and a collapse is not a minimum. It wants wide projections (thousands of
dimensions).

Paper: Zbontar et al., 2021, https://arxiv.org/abs/2103.03230
"""

import torch
from torch import Tensor, nn


class BarlowTwinsLoss(nn.Module):
    """Redundancy reduction between two views.

    Args:
        off_diagonal: Weight lambda of the redundancy term.
    """

    def __init__(self, *, off_diagonal: float = 0.0051) -> None:
        super().__init__()
        self.off_diagonal = off_diagonal

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the scalar loss, at least 0, in float32 or wider.

        Args:
            first: Projections of one view `(N, D)`, N at least 2.
            second: Projections of the other view `(N, D)`.

        Raises:
            ValueError: The batch has a single sample, which has no correlation, or the
                shapes differ.
        """
        if first.shape != second.shape or len(first) < 2:
            shapes = f"{tuple(first.shape)} and {tuple(second.shape)}"
            raise ValueError(f"give two views of at least 2 samples, not {shapes}")
        dtype = torch.promote_types(first.dtype, torch.float32)
        x, y = _standardize(first.to(dtype)), _standardize(second.to(dtype))
        with torch.autocast(x.device.type, enabled=False):
            correlation = x.T @ y / len(x)
        diagonal = correlation.diagonal()
        redundancy = correlation.square().sum() - diagonal.square().sum()
        return (1 - diagonal).square().sum() + self.off_diagonal * redundancy


def _standardize(x: Tensor) -> Tensor:
    """Give each column of `(N, D)` mean 0 and variance 1; a constant one becomes 0."""
    centered = x - x.mean(dim=0)
    return centered * (centered.square().mean(dim=0) + 1e-5).rsqrt()
