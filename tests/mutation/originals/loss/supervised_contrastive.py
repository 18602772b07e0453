"""Supervised contrastive loss."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SupConLoss(nn.Module):
    """Mean over anchors with a positive of -mean_p log softmax over all others."""

    def __init__(self, temperature: float = 0.2) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """The loss of features (N, D) with labels (N,)."""
        features = F.normalize(features.float(), dim=1)
        logits = features @ features.T / self.temperature
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        positive = (labels[:, None] == labels[None, :]) & ~itself
        log_prob = logits - logits.masked_fill(itself, float("-inf")).logsumexp(dim=1, keepdim=True)
        count = positive.sum(dim=1)
        per_anchor = -torch.where(positive, log_prob, 0.0).sum(dim=1) / count.clamp_min(1)
        anchors = count > 0
        return (per_anchor * anchors).sum() / anchors.sum().clamp_min(1)
