"""Images out of noise: a diffusion model, run backwards (DDIM).

    v predicted at x_t;   image = a x_t - s v;   noise = s x_t + a v
    x at the step before = a' image + s' noise,    a^2 = alpha_bar,  s^2 = 1 - alpha_bar

Paper: Song et al., 2021, https://arxiv.org/abs/2010.02502
"""

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.diffusion import STEPS
from dlcoder.templates.components.utils.noise_schedule import cosine_schedule


@torch.no_grad()
def sample_diffusion(
    model: nn.Module, noise: Tensor, *, evaluations: int = 50
) -> Tensor:
    """Return the images (B, 3, S, S) that a model in evaluation mode makes of noise.

    Args:
        model: Predicts v (B, 3, S, S) for noisy images and steps (B,).
        noise: Standard normal noise (B, 3, S, S): it alone decides the images.
        evaluations: How often the model is asked; more is finer, and slower.
    """
    alpha_bar = cosine_schedule(STEPS).to(noise.device, noise.dtype)
    steps = torch.linspace(STEPS - 1, 0, evaluations, device=noise.device).long()
    x = clean = noise
    for index, step in enumerate(steps):
        signal, power = alpha_bar[step].sqrt(), (1 - alpha_bar[step]).sqrt()
        v = model(x, step.expand(len(x))).to(x.dtype)
        clean = signal * x - power * v
        if index + 1 < len(steps):
            before = alpha_bar[steps[index + 1]]
            x = before.sqrt() * clean + (1 - before).sqrt() * (power * x + signal * v)
    return clean
