"""What a diffusion run minimizes, for one batch: how well noise is told from image.

The network predicts v, from which both noise and image follow at every step.

Shapes: images (B, 3, S, S), of about zero mean and unit variance. What else is in a
batch, such as labels, is not used.
"""

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.losses.diffusion import DiffusionLoss
from dlcoder.templates.components.utils.noise_schedule import cosine_schedule

STEPS = 1000
"""Steps from image to noise."""


class Diffusion:
    """The objective of image generation by denoising."""

    def __init__(self) -> None:
        self.loss = DiffusionLoss(cosine_schedule(STEPS), prediction="v")

    def count(self, batch: Batch) -> int:
        """The number of images, which sums are divided by in the end."""
        return len(batch[0])

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the sum over the images: `loss_*` to minimize."""
        images = batch[0]
        self.loss.to(images.device)
        noise = torch.randn_like(images)
        step = torch.randint(STEPS, (len(images),), device=images.device)
        prediction = model(self.loss.add_noise(images, noise, step), step)
        loss = self.loss(prediction, images, noise, step)
        return {"loss_denoising": loss * len(images)}
