"""Root mean squared error of a whole dataset."""

import math

import torch
from torch import Tensor


class RootMeanSquaredError:
    """sqrt of the mean squared error over all elements."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.total = 0.0
        self.count = 0

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add predictions (B, D) and targets of the same shape."""
        error = preds.detach().double() - target.double()
        self.total += float(torch.square(error).sum())
        self.count += error.numel()

    def compute(self) -> float:
        """The error, 0 if nothing was seen."""
        return math.sqrt(self.total / max(self.count, 1))
