"""Squared error of sequences of unequal length."""

from torch import Tensor, nn


class MaskedSquaredError(nn.Module):
    """Mean of the squared error over valid steps.

    pred, target: (B, T); valid_mask: (B, T) bool, True where a step counts.
    """

    def forward(self, pred: Tensor, target: Tensor, valid_mask: Tensor) -> Tensor:
        """Return the loss as a scalar."""
        error = (pred.float() - target.float()).square() * valid_mask
        return error.sum() / valid_mask.sum().clamp(min=1)
