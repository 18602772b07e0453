"""Charbonnier loss: a smooth L1 for image restoration and regression.

    L = mean of sqrt((x - y)^2 + eps^2)

Close to L1 for errors above `eps` and quadratic below, so its gradient vanishes at a
perfect prediction. It is at least `eps`, never 0.

Paper: Lai et al., 2018, https://arxiv.org/abs/1710.01992
"""

import torch
from torch import Tensor, nn


class CharbonnierLoss(nn.Module):
    """Mean Charbonnier penalty.

    Args:
        eps: Where the penalty turns from quadratic to linear, in the unit of the input;
            above 0.
    """

    def __init__(self, *, eps: float = 1e-3) -> None:
        super().__init__()
        if eps <= 0:
            raise ValueError(f"eps must be above 0, got {eps}")
        self.eps = eps

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss in float32 or wider.

        Args:
            prediction: Any shape.
            target: The same shape.

        Raises:
            ValueError: The shapes differ, and would broadcast without a word.
        """
        if prediction.shape != target.shape:
            raise ValueError(
                f"shapes differ: {tuple(prediction.shape)} and {tuple(target.shape)}"
            )
        difference = (
            prediction.to(torch.promote_types(prediction.dtype, torch.float32)) - target
        )
        # hypot neither overflows nor loses eps, which squared is below the resolution
        # of half precision.
        penalty = torch.hypot(difference, torch.full_like(difference, self.eps))
        return penalty.sum() / max(penalty.numel(), 1)
