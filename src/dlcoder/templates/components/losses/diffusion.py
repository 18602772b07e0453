"""Denoising diffusion loss with epsilon, v or x0 prediction and min-SNR weighting.

    x_t = a x_0 + s noise,   a^2 = alpha_bar_t,  s^2 = 1 - alpha_bar_t,  SNR = a^2 / s^2
    target: noise (epsilon),  a noise - s x_0 (v),  or x_0
    L = mean over the batch of  w_t * mean over pixels of (prediction - target)^2

Min-SNR caps the weight of the x_0 error at gamma, so that nearly clean steps do not
dominate: w = min(SNR, gamma) / SNR, / (SNR + 1), or as it is, for the three targets.
A schedule that ends without signal (alpha_bar_T = 0) is finite with v and x0; with
epsilon its last step teaches nothing.

Papers: Ho et al., 2020, https://arxiv.org/abs/2006.11239; Salimans and Ho, 2022 (v),
https://arxiv.org/abs/2202.00512; Hang et al., 2023, https://arxiv.org/abs/2303.09556
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DiffusionLoss(nn.Module):
    """Weighted mean squared error of a denoiser.

    Args:
        alpha_bar: Cumulative signal power of every step `(T,)`, falling, in [0, 1).
        prediction: What the network predicts.
        snr_gamma: Cap of min-SNR weighting; `None` weighs all steps alike.
    """

    def __init__(
        self,
        alpha_bar: Tensor,
        *,
        prediction: Literal["epsilon", "v", "x0"] = "epsilon",
        snr_gamma: float | None = 5.0,
    ) -> None:
        super().__init__()
        if prediction not in ("epsilon", "v", "x0"):
            raise ValueError(f"prediction must be epsilon, v or x0, got {prediction!r}")
        self.prediction = prediction
        # A schedule in half precision would round the last steps to zero signal.
        alpha_bar = alpha_bar.double()
        self.signal: Tensor
        self.noise: Tensor
        self.weight: Tensor
        self.register_buffer("signal", alpha_bar.sqrt().float())
        self.register_buffer("noise", (1 - alpha_bar).sqrt().float())
        self.register_buffer("weight", self._weights(alpha_bar, snr_gamma).float())

    def add_noise(self, clean: Tensor, noise: Tensor, step: Tensor) -> Tensor:
        """Return x_t for clean samples `(B, ...)`, noise alike, and steps `(B,)`."""
        return (
            _of(self.signal, step, clean) * clean + _of(self.noise, step, clean) * noise
        )

    def forward(
        self, prediction: Tensor, clean: Tensor, noise: Tensor, step: Tensor
    ) -> Tensor:
        """Return the scalar loss in float32 or wider.

        Args:
            prediction: Output of the network for `add_noise(clean, noise, step)`.
            clean: x_0 `(B, ...)`.
            noise: Standard normal noise, the same shape.
            step: Index of the step of each sample `(B,)`, int64.

        Raises:
            ValueError: The network's output or the noise has another shape than the
                samples, or there is not one step a sample.
        """
        if not (prediction.shape == clean.shape == noise.shape) or (
            step.shape != clean.shape[:1]
        ):
            shapes = [tuple(x.shape) for x in (prediction, clean, noise, step)]
            raise ValueError(f"shapes do not fit: {shapes}")
        dtype = torch.promote_types(prediction.dtype, torch.float32)
        prediction, clean, noise = (x.to(dtype) for x in (prediction, clean, noise))
        if self.prediction == "epsilon":
            target = noise
        elif self.prediction == "v":
            target = _of(self.signal, step, clean) * noise
            target = target - _of(self.noise, step, clean) * clean
        else:
            target = clean
        error = F.mse_loss(prediction, target, reduction="none").flatten(1).mean(dim=1)
        return (self.weight[step] * error).sum() / max(len(error), 1)

    def _weights(self, alpha_bar: Tensor, gamma: float | None) -> Tensor:
        """Return the weight of every step `(T,)`, written without dividing by SNR."""
        if gamma is None:
            return torch.ones_like(alpha_bar)
        power = 1 - alpha_bar
        capped = alpha_bar <= gamma * power  # SNR <= gamma
        if self.prediction == "epsilon":
            return torch.where(capped, 1, gamma * power / alpha_bar.clamp_min(1e-12))
        if self.prediction == "v":
            return torch.where(capped, alpha_bar, gamma * power)
        return torch.where(capped, alpha_bar / power.clamp_min(1e-12), gamma)


def _of(table: Tensor, step: Tensor, like: Tensor) -> Tensor:
    """Look up steps `(B,)` in a table and shape them to multiply `(B, ...)`."""
    return table[step].view(-1, *[1] * (like.dim() - 1))
