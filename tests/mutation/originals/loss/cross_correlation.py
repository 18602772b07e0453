import torch
from torch import nn


class BarlowTwinsLoss(nn.Module):
    def __init__(self, lambd=5e-3):
        super().__init__()
        self.lambd = lambd

    def forward(self, z_a, z_b):
        n = z_a.size(0)
        z_a = (z_a - z_a.mean(0)) / (z_a.std(0) + 1e-6)
        z_b = (z_b - z_b.mean(0)) / (z_b.std(0) + 1e-6)
        c = z_a.T @ z_b / n
        on_diag = (torch.diagonal(c) - 1).pow(2).sum()
        off_diag = c.pow(2).sum() - torch.diagonal(c).pow(2).sum()
        return on_diag + self.lambd * off_diag
