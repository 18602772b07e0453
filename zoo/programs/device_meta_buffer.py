# cause: device-mismatch
import torch
class Rope(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = torch.nn.Linear(8, 8)
        self.freqs = torch.arange(8.0)
    def forward(self, x):
        return self.proj(x) * self.freqs.to("meta")
Rope()(torch.randn(2, 8))
