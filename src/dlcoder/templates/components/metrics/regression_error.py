"""Errors of a regression over a whole dataset: absolute, squared, and explained.

    MAE = mean |y - p|,   RMSE = sqrt(mean (y - p)^2),
    R^2 = 1 - sum (y - p)^2 / sum (y - mean y)^2

Sums are added up over batches and ranks before any ratio is taken. With several targets
each has its own R^2, and the mean of them is given; one that does not vary has none.

Shapes: prediction (B, T), target (B, T), sums (5, T).
"""

import torch
from torch import Tensor


class RegressionSums:
    """Sums of errors and of targets, and their number.

    Args:
        num_targets: T.
        device: Where batches come from.
    """

    def __init__(
        self, num_targets: int = 1, device: torch.device | str = "cpu"
    ) -> None:
        # R^2 is a difference of large sums: single precision would not do.
        self.sums = torch.zeros(5, num_targets, dtype=torch.float64, device=device)

    @torch.no_grad()
    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add one batch: prediction (B, T), target (B, T).

        Raises:
            ValueError: The shapes differ, and would broadcast without a word.
        """
        if prediction.shape != target.shape:
            raise ValueError(
                f"shapes differ: {tuple(prediction.shape)} and {tuple(target.shape)}"
            )
        target = target.double()
        error = prediction.double() - target
        parts = (error.abs(), error.square(), target, target.square())
        self.sums[:4] += torch.stack(parts).sum(dim=1)
        self.sums[4] += len(target)


def regression_metrics(sums: Tensor) -> dict[str, float]:
    """Compute errors from sums (5, T), added up over ranks.

    Returns:
        `mae` and `rmse` over all targets, in their unit, and `r2`: 1 for a perfect
        prediction, 0 for one that always gives the mean. NaN where there is nothing.
    """
    absolute, squared, total, total_squared, count = sums.double().cpu()
    spread = total_squared - total.square() / count
    # What is left of a constant target is the rounding of its sums.
    constant = spread <= 1e-12 * total_squared
    r2 = (1 - squared / spread).masked_fill(constant, float("nan"))
    return {
        "mae": float((absolute / count).mean()),
        "rmse": float((squared / count).mean().sqrt()),
        "r2": float(r2.nanmean()),
    }
