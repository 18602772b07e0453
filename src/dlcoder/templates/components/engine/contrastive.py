"""What a SimCLR run minimizes, for one batch: views of an image find each other.

Shapes: two views of each image (B, 3, H, W), projections (B, P).
"""

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.losses.nt_xent import NTXentLoss


class Contrastive:
    """The objective of contrastive learning.

    Args:
        temperature: Divides the cosines: the lower, the more the hardest count.
    """

    def __init__(self, *, temperature: float = 0.1) -> None:
        self.loss = NTXentLoss(temperature=temperature)

    def count(self, batch: Batch) -> int:
        """The number of images, which sums are divided by in the end."""
        return len(batch[0])

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the sum over the images: `loss_*` to minimize."""
        first, second = batch
        # One pass: batch norm sees both views, and data parallelism one forward.
        projections = model(torch.cat([first, second])).chunk(2)
        return {"loss_contrastive": self.loss(*projections) * len(first)}
