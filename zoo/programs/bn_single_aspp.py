# cause: shape-batchnorm-single
import torch.nn as nn, torch
pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 4, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
pool.train()
pool(torch.randn(1, 8, 16, 16))
