"""How much memory a run needs."""

import sys

import torch


def peak_memory_mb(device: torch.device) -> float:
    """Return the most memory used so far, in MiB: of the GPU, or of this process.

    Of a process on Windows it is not known, and 0.
    """
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    try:
        import resource  # Windows has none.
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # In bytes on macOS, in KiB elsewhere.
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
