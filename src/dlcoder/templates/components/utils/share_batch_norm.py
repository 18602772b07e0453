"""Batch norm over the batches of all ranks, where one rank's is too small.

With few samples a rank, the mean and variance of each rank's own batch are noise. Here
all ranks compute them together, at the cost of one exchange for each layer and pass.
"""

import torch
from torch import distributed, nn


def share_batch_norm(model: nn.Module) -> nn.Module:
    """Return `model` with batch norm over all ranks, where these have GPUs.

    Elsewhere it stays as it is: torch has no such layer for CPUs. Names of weights are
    the same with and without.
    """
    if not (distributed.is_initialized() and torch.cuda.is_available()):
        return model
    converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return converted
