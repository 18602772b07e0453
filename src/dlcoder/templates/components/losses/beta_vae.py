"""Negative evidence lower bound of a variational autoencoder, with a weight on the KL.

    L = mean over the batch of  reconstruction + beta * KL( N(mu, sigma^2) || N(0, 1) )
    KL = 1/2 sum_d (mu^2 + sigma^2 - 1 - log sigma^2)

Both terms are sums over dimensions, so `beta` means the same at every image size.
`beta = 1` is the bound itself; above 1 it trades fidelity for disentangled factors.

Papers: Kingma and Welling, 2014, https://arxiv.org/abs/1312.6114; Higgins et al., 2017
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BetaVAELoss(nn.Module):
    """Reconstruction plus weighted KL divergence.

    Args:
        beta: Weight of the KL, at least 0.
        likelihood: "gaussian" (unit variance, up to a constant) or "bernoulli", whose
            reconstructions are logits and whose targets lie in [0, 1].
    """

    def __init__(
        self,
        *,
        beta: float = 1.0,
        likelihood: Literal["gaussian", "bernoulli"] = "gaussian",
    ) -> None:
        super().__init__()
        if likelihood not in ("gaussian", "bernoulli"):
            raise ValueError(
                f"likelihood must be gaussian or bernoulli: {likelihood!r}"
            )
        self.beta = beta
        self.likelihood = likelihood

    def forward(
        self, reconstruction: Tensor, target: Tensor, mean: Tensor, log_variance: Tensor
    ) -> Tensor:
        """Return the scalar loss in float32 or wider.

        Args:
            reconstruction: Decoder output `(B, ...)`.
            target: What went in, the same shape.
            mean: mu of the posterior `(B, D)`.
            log_variance: log sigma^2 of the posterior `(B, D)`; clamped to [-20, 20].

        Raises:
            ValueError: The shapes of reconstruction and target differ, or those of mean
                and log-variance.
        """
        for first, second in ((reconstruction, target), (mean, log_variance)):
            if first.shape != second.shape or len(first) != len(target):
                raise ValueError(
                    f"shapes differ: {tuple(first.shape)} and {tuple(second.shape)}"
                )
        dtype = torch.promote_types(reconstruction.dtype, torch.float32)
        reconstruction, target = reconstruction.to(dtype), target.to(dtype)
        if self.likelihood == "bernoulli":
            distance = F.binary_cross_entropy_with_logits(
                reconstruction, target, reduction="sum"
            )
        else:
            distance = F.mse_loss(reconstruction, target, reduction="sum") / 2
        # exp overflows float32 at 88; the posterior is a point or noise long before.
        log_variance = log_variance.to(dtype).clamp(-20, 20)
        kl = (mean.to(dtype).square() + log_variance.exp() - 1 - log_variance).sum() / 2
        return (distance + self.beta * kl) / max(len(target), 1)
