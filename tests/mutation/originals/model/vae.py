"""A variational autoencoder of vectors."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class VAEOutput(NamedTuple):
    """Reconstruction and posterior."""

    reconstruction: Tensor
    mean: Tensor
    log_variance: Tensor


class VAE(nn.Module):
    """Vectors (B, in_features) to their reconstruction; samples the latent by reparametrisation in either mode."""

    def __init__(self, in_features: int = 16, hidden: int = 32, latent: int = 4) -> None:
        super().__init__()
        self.encode = nn.Linear(in_features, hidden)
        self.mean = nn.Linear(hidden, latent)
        self.log_variance = nn.Linear(hidden, latent)
        self.decode = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, in_features))

    def forward(self, x: Tensor) -> VAEOutput:
        """Return reconstruction, mean and log variance."""
        hidden = F.relu(self.encode(x))
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        noise = torch.randn_like(mean)
        latent = mean + noise * torch.exp(0.5 * log_variance)
        return VAEOutput(self.decode(latent), mean, log_variance)
