"""InfoNCE between paired embeddings, one way or both (the loss of CLIP).

    L = mean over i of  -log( exp(s_ii / T) / sum_j exp(s_ij / T) )
    s_ij = cosine of query i and key j

Negatives are the other keys of the batch, under data parallelism of all ranks: they are
gathered with their gradient, so that the mean over ranks that DistributedDataParallel
takes is the gradient of the global loss. `symmetric` adds the loss of the keys against
the queries and halves. The temperature may be learned: pass `log_scale` = log(1 / T),
which is clamped at ln 100 as in CLIP.

Papers: van den Oord et al., 2018, https://arxiv.org/abs/1807.03748; Radford et al.,
2021, https://arxiv.org/abs/2103.00020
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcoder.templates.components.losses.nt_xent import gather_pair


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
            query: Embeddings `(N, D)`; every rank must hold the same N.
            key: Embeddings of the same N samples `(N, D)`.
            log_scale: Learned logarithm of 1 / temperature, a scalar.
        """
        dtype = torch.promote_types(query.dtype, torch.float32)
        scale: Tensor | float = 1 / self.temperature
        if log_scale is not None:
            scale = log_scale.clamp_max(math.log(100)).exp()
        # The queries are scaled: they have fewer numbers than there are cosines.
        query = F.normalize(query.to(dtype), dim=-1) * scale
        key = F.normalize(key.to(dtype), dim=-1)
        queries, keys, rank = gather_pair(query, key)
        own = torch.arange(len(query), device=query.device) + rank * len(query)
        with torch.autocast(query.device.type, enabled=False):
            logits = query @ keys.T
            if not self.symmetric:
                return F.cross_entropy(logits, own)
            # Of one rank the other direction is the same table, read by columns.
            alone = len(queries) == len(query)
            reverse = logits.T if alone else key @ queries.T
        return (F.cross_entropy(logits, own) + F.cross_entropy(reverse, own)) / 2
