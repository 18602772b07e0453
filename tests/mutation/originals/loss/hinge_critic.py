"""Hinge loss of a discriminator."""

import torch.nn.functional as F
from torch import Tensor


def discriminator_hinge_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[relu(1 - D(x))] + E[relu(1 + D(G(z)))]. Both inputs: (B, 1)."""
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()
