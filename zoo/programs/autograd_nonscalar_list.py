# cause: autograd-nonscalar
import torch
class Multi(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = torch.nn.Linear(6, 6)
    def forward(self, x):
        return torch.stack([self.proj(x).abs().mean(), self.proj(x * 2).abs().mean()])
net = Multi()
out = net(torch.randn(5, 6))
print("losses", out.tolist())
out.backward()
