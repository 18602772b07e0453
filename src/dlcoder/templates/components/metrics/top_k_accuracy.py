"""Top-k accuracy: how often the true class is among the k likeliest.

Counts are integers, and add up over batches and ranks without error. A sample with a
logit that is not a number counts as wrong: argmax would call it class 0.

Shapes: logits (B, C), target (B,).
"""

import torch
from torch import Tensor


class TopKCounts:
    """Counts of right samples for several k.

    Args:
        ks: The values of k, each at most C.
        device: Where batches come from.
    """

    def __init__(
        self, ks: tuple[int, ...] = (1, 5), device: torch.device | str = "cpu"
    ) -> None:
        self.ks = ks
        self.counts = torch.zeros(len(ks) + 1, dtype=torch.int64, device=device)

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Count one batch: logits (B, C), target (B,).

        Raises:
            RuntimeError: A k is larger than C.
        """
        ranked = logits.topk(max(self.ks), dim=1).indices
        hits = (ranked == target.unsqueeze(1)) & ~logits.isnan().any(
            dim=1, keepdim=True
        )
        right = torch.stack([hits[:, :k].sum() for k in self.ks])
        self.counts[:-1] += right
        self.counts[-1] += len(target)

    def compute(self, counts: Tensor) -> dict[str, float]:
        """Return `top_k` for each k from counts, summed over ranks if there are any."""
        *right, total = counts.tolist()
        shares = (count / max(total, 1) for count in right)
        return {f"top_{k}": share for k, share in zip(self.ks, shares, strict=True)}
