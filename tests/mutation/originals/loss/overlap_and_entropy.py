import torch
from torch import nn


class DiceBCELoss(nn.Module):
    def __init__(self, weight_dice=0.5, smooth=1.0):
        super().__init__()
        self.weight_dice = weight_dice
        self.smooth = smooth
        self.bce = nn.BCEWithLogitsLoss()

    def forward(self, inputs, targets):
        bce = self.bce(inputs, targets)
        probs = torch.sigmoid(inputs.float()).flatten(1)
        t = targets.float().flatten(1)
        inter = (probs * t).sum(1)
        dice = 1 - (2 * inter + self.smooth) / (probs.sum(1) + t.sum(1) + self.smooth)
        return (1 - self.weight_dice) * bce + self.weight_dice * dice.mean()
