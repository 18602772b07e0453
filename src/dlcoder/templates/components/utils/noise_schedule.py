"""How much of an image is left at each step of diffusion.

    alpha_bar_t = cos^2(pi / 2 * (t / T + s) / (1 + s)) / cos^2(pi / 2 * s / (1 + s))

Paper: Nichol and Dhariwal, 2021, https://arxiv.org/abs/2102.09672
"""

import math

import torch
from torch import Tensor


def cosine_schedule(steps: int) -> Tensor:
    """Return the signal power (T,) of every step, in float64: never rising, above 0."""
    time = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    power = torch.cos(math.pi / 2 * (time + 0.008) / 1.008).square()
    power = power / math.cos(math.pi / 2 * 0.008 / 1.008) ** 2
    return power.clamp(1e-5, 1 - 1e-5)
