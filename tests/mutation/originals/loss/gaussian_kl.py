"""The divergence of a diagonal Gaussian from the standard normal, as in a variational autoencoder."""

from torch import Tensor


def kl_to_standard_normal(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, 1)), summed over dimensions, mean over the batch. mu, logvar: (B, D)."""
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum(dim=1).mean()
