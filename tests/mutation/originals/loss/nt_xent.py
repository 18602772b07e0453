"""NT-Xent: two views of each sample find each other among all views of the batch."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NTXentLoss(nn.Module):
    """Softmax cross entropy over cosine similarities without an embedding's own. z1, z2: (N, D)."""

    def __init__(self, temperature: float = 0.5) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Return the loss as a scalar."""
        count = len(z1)
        views = F.normalize(torch.cat([z1, z2]).float(), dim=1)
        scores = views @ views.T / self.temperature
        own = torch.eye(2 * count, dtype=torch.bool, device=views.device)
        scores = scores.masked_fill(own, float("-inf"))
        partner = torch.arange(2 * count, device=views.device).roll(count)
        return F.cross_entropy(scores, partner)
