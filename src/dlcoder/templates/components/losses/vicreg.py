"""VICReg: self-supervision by invariance, variance and covariance, without negatives.

    L = i MSE(x, y) + v / 2 sum_{x, y} mean_d relu(1 - std_d)
        + c sum_{x, y} sum_{d != e} cov_de^2 / D

The variance term keeps every dimension of the projection alive (a collapse costs at
least `v`), the covariance term keeps them different. Statistics are of the local batch:
gather the embeddings of all ranks first if it is small.

Paper: Bardes et al., 2022, https://arxiv.org/abs/2105.04906
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class VICRegLoss(nn.Module):
    """Invariance, variance and covariance of two views.

    Args:
        invariance: Weight i of the distance between the views.
        variance: Weight v of the hinge on the standard deviations.
        covariance: Weight c of the off-diagonal covariances.
    """

    def __init__(
        self,
        *,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
    ) -> None:
        super().__init__()
        self.invariance = invariance
        self.variance = variance
        self.covariance = covariance

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the scalar loss, at least 0, in float32 or wider.

        Args:
            first: Projections of one view `(N, D)`, N at least 2.
            second: Projections of the other view `(N, D)`.

        Raises:
            ValueError: The batch has a single sample, which has no variance, or the
                shapes differ.
        """
        if first.shape != second.shape or len(first) < 2:
            shapes = f"{tuple(first.shape)} and {tuple(second.shape)}"
            raise ValueError(f"give two views of at least 2 samples, not {shapes}")
        dtype = torch.promote_types(first.dtype, torch.float32)
        first, second = first.to(dtype), second.to(dtype)
        loss = self.invariance * F.mse_loss(first, second)
        for view in (first, second):
            variance, covariance = _spread(view - view.mean(dim=0))
            loss = loss + self.variance * variance / 2 + self.covariance * covariance
        return loss


def _spread(centered: Tensor) -> tuple[Tensor, Tensor]:
    """Return the hinge and the off-diagonal covariance of centered `(N, D)`."""
    n, dim = centered.shape
    with torch.autocast(centered.device.type, enabled=False):
        covariance = centered.T @ centered / (n - 1)
    variance = covariance.diagonal()
    off_diagonal = (covariance.square().sum() - variance.square().sum()) / dim
    return F.relu(1 - (variance + 1e-4).sqrt()).mean(), off_diagonal
