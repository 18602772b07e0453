"""A small convolutional classifier with stochastic depth."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """Two convolutions beside a shortcut, dropped at random in training."""

    def __init__(self, width: int, drop_path: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.drop_path = drop_path

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, width, H, W) to the same."""
        out = F.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        if self.training:
            keep = torch.rand(x.shape[0], 1, 1, 1, device=x.device) >= self.drop_path
            out = out * keep / (1 - self.drop_path)
        return F.relu(x + out)


class SmallCNN(nn.Module):
    """Images (B, 3, H, W) to logits (B, num_classes)."""

    def __init__(
        self, num_classes: int, in_channels: int = 3, width: int = 16, depth: int = 2,
        drop_path: float = 0.1, dropout: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.stem = nn.Conv2d(in_channels, width, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList([Block(width, drop_path) for _ in range(depth)])
        self.dropout = dropout
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the class logits."""
        x = F.relu(self.stem(images))
        for block in self.blocks:
            x = block(x)
        x = x.mean(dim=(2, 3))
        x = F.dropout(x, self.dropout, training=self.training)
        return self.head(x)
