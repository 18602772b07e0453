"""NT-Xent: contrastive loss of SimCLR, over the global batch.

    L = mean over the 2N views i of  -log( exp(s_ij / T) / sum_{k != i} exp(s_ik / T) )
    s = cosine,  j = the other view of the same sample

Under data parallelism the views of all ranks are negatives; they are gathered with
their gradient, and scaled so that the mean over ranks that DistributedDataParallel
takes is the gradient of the global loss. All views equal gives ln(2N - 1): a loss stuck
there is a collapse.

Paper: Chen et al., 2020, https://arxiv.org/abs/2002.05709
"""

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as dist_nn
import torch.nn.functional as F
from torch import Tensor, nn


class NTXentLoss(nn.Module):
    """Normalized temperature-scaled cross entropy between two views.

    Args:
        temperature: Divides the cosines, above 0.
    """

    def __init__(self, *, temperature: float = 0.1) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        self.temperature = temperature

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the scalar loss in float32 or wider.

        Args:
            first: Embeddings of one view `(N, D)`; every rank must hold the same N.
            second: Embeddings of the other view of the same samples `(N, D)`.
        """
        dtype = torch.promote_types(first.dtype, torch.float32)
        first, second = (F.normalize(x.to(dtype), dim=-1) for x in (first, second))
        *everything, rank = gather_pair(first, second)
        n, total = len(first), len(everything[0])

        with torch.autocast(first.device.type, enabled=False):
            views = torch.cat([first, second]) / self.temperature
            similarity = views @ torch.cat(everything).T
        own = torch.arange(n, device=first.device) + rank * n
        itself = torch.cat([own, own + total]).unsqueeze(1)
        partner = torch.cat([own + total, own])
        similarity = similarity.scatter(1, itself, float("-inf"))
        return F.cross_entropy(similarity, partner)


def gather_pair(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return two views of the samples of all ranks, with gradient, and this rank.

    Args:
        first: One view of this rank's samples `(N, D)`; every rank must hold the same
            N.
        second: The other view `(N, D)`.

    Returns:
        Both views `(world * N, D)`, in the order of the ranks.
    """
    if (
        not (dist.is_available() and dist.is_initialized())
        or dist.get_world_size() == 1
    ):
        return first, second, 0
    gathered = torch.cat(list(dist_nn.all_gather(torch.stack([first, second]))), dim=1)
    return gathered[0], gathered[1], dist.get_rank()
