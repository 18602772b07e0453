"""Triplet loss with the hardest positive and negative of the batch.

    L = mean over anchors a of  max(0, margin + max_p d(a, p) - min_n d(a, n))
    d = Euclidean distance,  p of the same class,  n of another

Anchors without a positive or without a negative are left out. A loss stuck at the
margin is a collapse: all embeddings coincide. Sample P classes with K images each, on
every rank: it looks at its own batch only.

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

        Raises:
            ValueError: There is not one label an embedding.
        """
        if labels.shape != embeddings.shape[:1]:
            raise ValueError(
                f"shapes do not fit: {tuple(embeddings.shape)}, {tuple(labels.shape)}"
            )
        embeddings = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
        same = labels[:, None] == labels[None, :]
        positive = same & ~torch.eye(
            len(labels), dtype=torch.bool, device=labels.device
        )
        anchors = positive.any(dim=1) & ~same.all(dim=1)

        # Only the pairs that count need a gradient.
        with torch.no_grad():
            distance = torch.cdist(embeddings, embeddings)
            farthest = distance.masked_fill(~positive, -1).argmax(dim=1)
            nearest = distance.masked_fill(same, float("inf")).argmin(dim=1)
        # Anew, from differences: those from dot products lose the small ones. The norm
        # has slope 0, not NaN, at 0.
        to_positive = torch.linalg.vector_norm(embeddings - embeddings[farthest], dim=1)
        to_negative = torch.linalg.vector_norm(embeddings - embeddings[nearest], dim=1)
        loss = (to_positive - to_negative + self.margin).clamp_min(0)
        mean: Tensor = loss.where(anchors, 0).sum() / anchors.sum().clamp_min(1)
        return mean
