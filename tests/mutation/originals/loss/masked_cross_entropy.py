"""Cross entropy over the elements that count, with class weights and label smoothing."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MaskedCrossEntropy(nn.Module):
    """Mean over valid elements of -sum_c q_c log p_c, q the smoothed target."""

    def __init__(
        self,
        weight: Tensor | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int = 255,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index
        self.reduction = reduction

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of logits (B, C, H, W) against a target (B, H, W); `reduction` is "none", "mean" or "sum"."""
        valid = target != self.ignore_index
        labels = torch.where(valid, target, 0)
        log_probs = F.log_softmax(logits.float(), dim=1)
        picked = -log_probs.gather(1, labels.unsqueeze(1)).squeeze(1)
        uniform = -log_probs.mean(dim=1)
        loss = (1 - self.label_smoothing) * picked + self.label_smoothing * uniform
        if self.weight is not None:
            loss = loss * self.weight[labels]
        loss = torch.where(valid, loss, 0.0)
        if self.reduction == "none":
            return loss
        if self.reduction == "sum":
            return loss.sum()
        return loss.sum() / valid.sum().clamp_min(1)
