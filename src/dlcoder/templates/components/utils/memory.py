"""How much memory a run needs."""

import resource

import torch


def peak_memory_mb(device: torch.device) -> float:
    """Return the most memory used so far, in MiB: of the GPU, or of this process."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    # Linux counts in KiB.
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10, 1)
