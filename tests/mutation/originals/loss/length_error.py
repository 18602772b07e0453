"""The absolute error of padded sequences."""

import torch
from torch import Tensor, nn


class LengthError(nn.Module):
    """Mean absolute error over the valid steps of sequences: pred and target (B, T, D), lengths (B,)."""

    def forward(self, pred: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
        """Return the mean over valid steps and features."""
        steps = torch.arange(pred.shape[1], device=pred.device)
        valid = (steps < lengths[:, None]).unsqueeze(-1)
        error = (pred - target).abs().float() * valid
        return error.sum() / (valid.sum() * pred.shape[-1]).clamp_min(1)
