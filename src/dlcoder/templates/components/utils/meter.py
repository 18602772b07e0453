"""The mean of a value over many batches, of all ranks together.

Sums and counts are added up, never means: batches of any size weigh as many samples as
they have, and ranks may have seen different numbers of them.
"""

import torch
from torch import Tensor

from dlcoder.templates.components.utils.distributed import sum_over_ranks


class Meter:
    """The mean of what was added since the last reset.

    Adding does not wait for the device: only `compute` does.

    Args:
        device: Where the values come from.
    """

    def __init__(self, *, device: torch.device | str = "cpu") -> None:
        self.total = torch.zeros((), dtype=torch.float64, device=device)
        self.count = torch.zeros((), dtype=torch.float64, device=device)

    @torch.no_grad()
    def update(self, mean: Tensor | float, count: Tensor | int = 1) -> None:
        """Add the mean of `count` samples: numbers, or scalars on the device.

        A count of 0 adds nothing, whatever its mean is.
        """
        mean = torch.as_tensor(mean, dtype=torch.float64, device=self.total.device)
        count = torch.as_tensor(count, device=self.total.device)
        self.total += (mean * count).where(count > 0, 0)
        self.count += count

    def compute(self) -> float:
        """Return the mean over all ranks; NaN where nothing was added.

        To be called by all ranks alike.
        """
        sums = sum_over_ranks(torch.stack([self.total, self.count]))
        total, count = sums.tolist()
        return total / count if count else float("nan")

    def reset(self) -> None:
        """Begin anew."""
        self.total.zero_()
        self.count.zero_()
