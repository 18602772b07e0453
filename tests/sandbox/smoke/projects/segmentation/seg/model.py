import copy

import torch
import torch.nn as nn


class UNet(nn.Module):
    def __init__(self, width, classes, dropout):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.mid = nn.Sequential(
            nn.MaxPool2d(2), nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")
        self.drop = nn.Dropout2d(dropout)
        self.head = nn.Conv2d(2 * width, classes, 1)

    def forward(self, x):
        skip = self.down(x)
        return self.head(self.drop(torch.cat([skip, self.up(self.mid(skip))], 1)))


class ModelEma:
    def __init__(self, model, decay):
        self.module = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model):
        source = model.state_dict()
        for name, value in self.module.state_dict().items():
            if value.is_floating_point():
                value.lerp_(source[name], 1 - self.decay)
            else:
                value.copy_(source[name])
