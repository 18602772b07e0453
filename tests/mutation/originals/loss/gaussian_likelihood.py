"""The likelihood of a Gaussian whose variance is predicted, too."""

from torch import Tensor


def gaussian_likelihood(mean: Tensor, log_var: Tensor, target: Tensor) -> Tensor:
    """Mean negative log-likelihood, up to a constant, of tensors (B, D)."""
    return 0.5 * (log_var + (target - mean) ** 2 * (-log_var).exp()).mean()
