# cause: shape-broadcast
import torch
class Encoder(torch.nn.Module):
    def __init__(self, max_len=16, dim=8):
        super().__init__()
        self.position = torch.nn.Parameter(torch.zeros(1, max_len, dim))
    def forward(self, x):
        return x + self.position
Encoder()(torch.randn(2, 20, 8))
