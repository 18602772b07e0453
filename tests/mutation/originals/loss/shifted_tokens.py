"""The next-token loss that shifts by itself."""

import torch.nn.functional as F
from torch import Tensor


def shifted_token_loss(logits: Tensor, labels: Tensor, ignore_index: int = -100) -> Tensor:
    """Mean over valid tokens of logits (B, T, V) against the labels (B, T) one later."""
    scores, following = logits[:, :-1].float(), labels[:, 1:]
    total = F.cross_entropy(scores.flatten(0, 1), following.flatten(), ignore_index=ignore_index, reduction="sum")
    return total / (following != ignore_index).sum().clamp_min(1)
