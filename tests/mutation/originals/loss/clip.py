"""The symmetric contrastive loss of images and texts."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ClipLoss(nn.Module):
    """Cross entropy of the scaled cosine similarities (N, N), along rows and columns."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(2.66))

    def forward(self, image_features: Tensor, text_features: Tensor) -> Tensor:
        """Return the mean of both directions."""
        images = F.normalize(image_features.float(), dim=-1)
        texts = F.normalize(text_features.float(), dim=-1)
        logits = self.log_scale.exp().clamp(max=100) * images @ texts.T
        labels = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
