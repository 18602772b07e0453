# cause: shape-channels
import torch
from torch import nn
stem = nn.Sequential(nn.Conv2d(3, 32, 7, stride=2, padding=3), nn.BatchNorm2d(32), nn.ReLU())
for name, image in {"a.png": torch.rand(1, 3, 32, 32), "b.png": torch.rand(1, 1, 32, 32)}.items():
    print("forward", name, tuple(image.shape))
    stem(image)
