import torch
from torch import nn


class PointNet(nn.Module):
    """points (B, N, 3) -> class logits"""

    def __init__(self, num_classes: int = 6):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Conv1d(3, 32, 1), nn.BatchNorm1d(32), nn.ReLU(), nn.Conv1d(32, 64, 1), nn.BatchNorm1d(64), nn.ReLU()
        )
        self.head = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, num_classes))

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        feat = self.mlp(points.transpose(1, 2))
        return self.head(feat.max(dim=2).values)
