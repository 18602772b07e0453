"""Perplexity of a language model over a whole dataset.

    perplexity = exp( sum of -log p(token) over valid tokens / their number )

The sum and the number are added up over batches and ranks; the mean of the batches'
perplexities is another, larger number.

Shapes: logits (B, L, V), target (B, L), already shifted.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


class PerplexitySums:
    """The sum of the losses of tokens, and their number.

    Args:
        ignore_index: Tokens of this target do not count.
        device: Where batches come from.
    """

    def __init__(
        self, *, ignore_index: int = -100, device: torch.device | str = "cpu"
    ) -> None:
        self.ignore_index = ignore_index
        self.sums = torch.zeros(2, dtype=torch.float64, device=device)

    @torch.no_grad()
    def update(self, logits: Tensor, target: Tensor) -> None:
        """Add one batch: logits (B, L, V), target (B, L)."""
        loss = F.cross_entropy(
            logits.flatten(0, -2).to(torch.promote_types(logits.dtype, torch.float32)),
            target.flatten(),
            ignore_index=self.ignore_index,
            reduction="none",
        )
        self.sums[0] += loss.sum(dtype=torch.float64)
        self.sums[1] += (target != self.ignore_index).sum()


def perplexity(sums: Tensor) -> float:
    """Return the perplexity of sums (2,), added up over ranks; NaN without tokens."""
    loss, tokens = sums.double()
    return float((loss / tokens).exp())
