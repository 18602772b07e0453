"""Supervised contrastive loss: samples of one class attract, all others repel.

    L = mean over anchors i and their positives p of
        -log( exp(s_ip / T) / sum_{k != i} exp(s_ik / T) ),   s = cosine

Anchors whose class occurs once have no positive and are left out of the mean; a batch
without any positive has loss 0. With two views and all labels different it is NT-Xent.
Sample batches so that classes repeat. Under data parallelism each rank looks at its own
batch only.

Paper: Khosla et al., 2020 (L_out), https://arxiv.org/abs/2004.11362
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SupervisedContrastiveLoss(nn.Module):
    """Contrastive loss with the labels as positives.

    Args:
        temperature: Divides the cosines, above 0.
    """

    def __init__(self, *, temperature: float = 0.1) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        self.temperature = temperature

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss, at least 0, in float32 or wider.

        Args:
            embeddings: `(N, D)`; the views of a sample follow one another or not, as
                long as the labels do too.
            labels: Class of each embedding, `(N,)`.

        Raises:
            ValueError: There is not one label an embedding.
        """
        if labels.shape != embeddings.shape[:1]:
            raise ValueError(
                f"shapes do not fit: {tuple(embeddings.shape)}, {tuple(labels.shape)}"
            )
        embeddings = F.normalize(
            embeddings.to(torch.promote_types(embeddings.dtype, torch.float32)), dim=-1
        )
        with torch.autocast(embeddings.device.type, enabled=False):
            similarity = embeddings @ embeddings.T / self.temperature
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        log_prob = similarity - similarity.masked_fill(itself, float("-inf")).logsumexp(
            dim=1, keepdim=True
        )

        positive = (labels[:, None] == labels[None, :]) & ~itself
        count = positive.sum(dim=1)
        # where, not a product: a lone sample's denominator is empty, and its
        # log-probability infinite.
        anchor_loss = -log_prob.where(positive, 0).sum(dim=1) / count.clamp_min(1)
        anchors = count > 0
        return anchor_loss.where(anchors, 0).sum() / anchors.sum().clamp_min(1)
