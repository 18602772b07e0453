"""Adversarial losses: hinge, non-saturating, and Wasserstein with gradient penalty.

    hinge           D: relu(1 - D(x)) + relu(1 + D(G(z)))    G: -D(G(z))
    non_saturating  D: softplus(-D(x)) + softplus(D(G(z)))   G: softplus(-D(G(z)))
    wasserstein     D: D(G(z)) - D(x)  (+ penalty)           G: -D(G(z))

All are means over the scores. Detach the images for the discriminator's step, not for
the generator's.

A discriminator of unbounded slope wins, and teaches nothing. Wasserstein is played with
`gradient_penalty`, non-saturating with `r1_penalty`, which makes that game converge,
hinge with layers of bounded slope (spectral norm).

Papers: Lim and Ye, 2017, https://arxiv.org/abs/1705.02894; Goodfellow et al., 2014,
https://arxiv.org/abs/1406.2661; Gulrajani et al., 2017,
https://arxiv.org/abs/1704.00028; Mescheder et al., 2018,
https://arxiv.org/abs/1801.04406
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GANLoss(nn.Module):
    """Losses of the two players.

    Args:
        kind: Which game is played.
    """

    def __init__(
        self, *, kind: Literal["hinge", "non_saturating", "wasserstein"] = "hinge"
    ) -> None:
        super().__init__()
        if kind not in ("hinge", "non_saturating", "wasserstein"):
            raise ValueError(f"unknown kind {kind!r}")
        self.kind = kind

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the discriminator's scalar loss.

        Args:
            real: Scores of real samples, any shape.
            fake: Scores of generated, detached samples, any shape.
        """
        dtype = torch.promote_types(real.dtype, torch.float32)
        real, fake = real.to(dtype), fake.to(dtype)
        if self.kind == "hinge":
            return _mean(F.relu(1 - real)) + _mean(F.relu(1 + fake))
        if self.kind == "non_saturating":
            return _mean(F.softplus(-real)) + _mean(F.softplus(fake))
        return _mean(fake) - _mean(real)

    def forward(self, fake: Tensor) -> Tensor:
        """Return the generator's scalar loss for the scores of its samples."""
        fake = fake.to(torch.promote_types(fake.dtype, torch.float32))
        if self.kind == "non_saturating":
            return _mean(F.softplus(-fake))
        return -_mean(fake)


def _mean(scores: Tensor) -> Tensor:
    """Return the mean, which is 0 of no scores."""
    return scores.sum() / max(scores.numel(), 1)


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor
) -> Tensor:
    """Return the mean of (|grad of the critic between real and fake| - 1)^2.

    Args:
        critic: Maps samples `(B, ...)` to scores; weigh its penalty by about 10.
        real: Real samples `(B, ...)`.
        fake: Generated samples `(B, ...)`.
    """
    # One point a sample, on the line between a real and a generated one.
    mix = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
    dtype = torch.promote_types(real.dtype, torch.float32)
    points = torch.lerp(real.detach().to(dtype), fake.detach().to(dtype), mix.to(dtype))
    # The norm has no slope at 0.
    norm = (_squared_slopes(critic, points) + 1e-12).sqrt()
    return (norm - 1).square().mean()


def r1_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Return half the mean of |grad of the discriminator at real samples|^2.

    Where the samples are right, the discriminator gets flat, and both come to rest.

    Args:
        discriminator: Maps samples `(B, ...)` to scores; weigh its penalty by about 10.
        real: Real samples `(B, ...)`.
    """
    dtype = torch.promote_types(real.dtype, torch.float32)
    return _squared_slopes(discriminator, real.detach().to(dtype)).mean() / 2


def _squared_slopes(score: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """Return the squared length of the gradient at each point, `(B,)`."""
    points = points.requires_grad_()
    (gradient,) = torch.autograd.grad(score(points).sum(), points, create_graph=True)
    return gradient.flatten(1).square().sum(dim=1)
