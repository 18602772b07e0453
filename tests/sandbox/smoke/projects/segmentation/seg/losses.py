import torch
import torch.nn as nn
import torch.nn.functional as F


def dice_loss(logits, mask, ignore_index):
    valid = (mask != ignore_index).unsqueeze(1)
    probs = logits.float().softmax(1) * valid
    target = F.one_hot(mask.where(valid[:, 0], torch.zeros_like(mask)), logits.shape[1]).permute(0, 3, 1, 2) * valid
    inter = (probs * target).sum((0, 2, 3))
    total = (probs + target).sum((0, 2, 3))
    return 1 - ((2 * inter + 1) / (total + 1)).mean()


class SegLoss(nn.Module):
    def __init__(self, dice_weight, ignore_index):
        super().__init__()
        self.dice_weight, self.ignore_index = dice_weight, ignore_index

    def forward(self, logits, mask):
        ce = F.cross_entropy(logits.float(), mask, ignore_index=self.ignore_index)
        dice = dice_loss(logits, mask, self.ignore_index)
        return {"total": ce + self.dice_weight * dice, "ce": ce.detach(), "dice": dice.detach()}
