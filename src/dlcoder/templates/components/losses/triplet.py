"""Triplet loss with the hardest positive and negative of the batch.

    L = mean over anchors a of  max(0, margin + max_p d(a, p) - min_n d(a, n))
    d = Euclidean distance,  p of the same class,  n of another

Anchors without a positive or without a negative are left out. A loss stuck at the
margin is a collapse: all embeddings coincide. Sample P classes with K images each.

Paper: Hermans et al., 2017, https://arxiv.org/abs/1703.07737
"""

import torch
from torch import Tensor, nn


class BatchHardTripletLoss(nn.Module):
    """Batch-hard triplet loss.

    Args:
        margin: By how much a negative must be farther than a positive, in units of the
            embedding.
    """

    def __init__(self, *, margin: float = 0.3) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss, at least 0, in float32 or wider.

        Args:
            embeddings: `(N, D)`.
            labels: Class of each embedding, `(N,)`.
        """
        embeddings = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
        # The exact form: distances from dot products lose the small ones, and cdist has
        # slope 0, not NaN, at 0.
        distance = torch.cdist(
            embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist"
        )
        same = labels[:, None] == labels[None, :]
        positive = same & ~torch.eye(
            len(labels), dtype=torch.bool, device=labels.device
        )
        anchors = positive.any(dim=1) & ~same.all(dim=1)

        farthest_positive = distance.masked_fill(~positive, 0).amax(dim=1)
        nearest_negative = distance.masked_fill(
            same, torch.finfo(distance.dtype).max
        ).amin(dim=1)
        loss = (farthest_positive - nearest_negative + self.margin).clamp_min(0)
        return loss.where(anchors, 0).sum() / anchors.sum().clamp_min(1)
