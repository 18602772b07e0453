"""What a masked autoencoder minimizes, for one batch: hidden patches, filled in.

Shapes: images (B, 3, S, S). What else is in a batch, such as labels, is not used.
"""

import math

from torch import Tensor, nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.losses.mae_reconstruction import (
    MAEReconstructionLoss,
)


class MaskedAutoencoding:
    """The objective of masked autoencoding."""

    def count(self, batch: Batch) -> int:
        """The number of images, which sums are divided by in the end."""
        return len(batch[0])

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the sum over the images: `loss_*` to minimize."""
        images = batch[0]
        predictions, masked = model(images)
        # A patch's prediction has three numbers for each of its pixels.
        patch_size = math.isqrt(predictions.shape[2] // 3)
        loss = MAEReconstructionLoss(patch_size=patch_size)(predictions, images, masked)
        return {"loss_reconstruction": loss * len(images)}
