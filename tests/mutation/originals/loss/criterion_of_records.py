from dataclasses import dataclass
from typing import Dict

import torch
import torch.nn.functional as F


@dataclass
class LossOutput:
    loss: torch.Tensor
    ce: torch.Tensor
    dice: torch.Tensor


class SegCriterion(torch.nn.Module):
    def __init__(self, *, dice_weight: float = 1.0, eps: float = 1e-6):
        super().__init__()
        self.dice_weight = dice_weight
        self.eps = eps

    def forward(self, outputs: Dict[str, torch.Tensor], batch: Dict[str, torch.Tensor]) -> LossOutput:
        logits, mask = outputs["logits"], batch["mask"]
        ce = F.cross_entropy(logits, mask)
        p = logits.softmax(1)
        oh = F.one_hot(mask, logits.size(1)).permute(0, 3, 1, 2).to(p.dtype)
        inter = (p * oh).sum((0, 2, 3))
        dice = 1 - ((2 * inter + self.eps) / (p.sum((0, 2, 3)) + oh.sum((0, 2, 3)) + self.eps)).mean()
        return LossOutput(loss=ce + self.dice_weight * dice, ce=ce.detach(), dice=dice.detach())
