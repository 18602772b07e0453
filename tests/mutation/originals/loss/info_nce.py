"""InfoNCE between two views."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class InfoNCE(nn.Module):
    """Each row of z1 must find its own row of z2 among all rows."""

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        """The symmetric loss of embeddings (N, D) and (N, D)."""
        z1 = F.normalize(z1.float(), dim=1)
        z2 = F.normalize(z2.float(), dim=1)
        similarity = z1 @ z2.T / self.temperature
        own = torch.arange(len(z1), device=z1.device)
        return (F.cross_entropy(similarity, own) + F.cross_entropy(similarity.T, own)) / 2
