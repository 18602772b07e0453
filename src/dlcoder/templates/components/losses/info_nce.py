"""InfoNCE between paired embeddings, one way or both (the loss of CLIP).

    L = mean over i of  -log( exp(s_ii / T) / sum_j exp(s_ij / T) )
    s_ij = cosine of query i and key j

Negatives are the other keys of the batch. `symmetric` adds the loss of the keys against
the queries and halves. The temperature may be learned: pass `log_scale` = log(1 / T),
which is clamped at ln 100 as in CLIP.

Papers: van den Oord et al., 2018, https://arxiv.org/abs/1807.03748; Radford et al.,
2021, https://arxiv.org/abs/2103.00020
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class InfoNCELoss(nn.Module):
    """Cross entropy of matching queries to keys.

    Args:
        temperature: Divides the cosines where no `log_scale` is given, above 0.
        symmetric: Whether keys are matched to queries too.
    """

    def __init__(self, *, temperature: float = 0.07, symmetric: bool = True) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        self.temperature = temperature
        self.symmetric = symmetric

    def forward(
        self, query: Tensor, key: Tensor, log_scale: Tensor | None = None
    ) -> Tensor:
        """Return the scalar loss in float32 or wider.

        Args:
            query: Embeddings `(N, D)`.
            key: Embeddings of the same N samples `(N, D)`.
            log_scale: Learned logarithm of 1 / temperature, a scalar.
        """
        dtype = torch.promote_types(query.dtype, torch.float32)
        query, key = (
            F.normalize(query.to(dtype), dim=-1),
            F.normalize(key.to(dtype), dim=-1),
        )
        scale = (
            1 / self.temperature
            if log_scale is None
            else log_scale.clamp_max(math.log(100)).exp()
        )
        with torch.autocast(query.device.type, enabled=False):
            logits = query @ key.T * scale
        target = torch.arange(len(logits), device=logits.device)
        loss = F.cross_entropy(logits, target)
        return (
            (loss + F.cross_entropy(logits.T, target)) / 2 if self.symmetric else loss
        )
