# cause: shape-broadcast
import torch, torch.nn as nn, torch.nn.functional as F
class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(1, 4, 3, 2, 1), nn.ConvTranspose2d(4, 4, 2, 2)
        self.out = nn.Conv2d(5, 1, 1)
    def forward(self, x):
        return self.out(torch.cat([self.up(self.down(x)), x], dim=1))
UNet()(torch.randn(1, 1, 33, 33))
