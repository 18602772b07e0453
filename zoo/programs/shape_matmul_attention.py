# cause: shape-matmul
import torch
q = torch.nn.Linear(64, 64)
class CrossAttention(torch.nn.Module):
    def __init__(self, dim, context_dim):
        super().__init__()
        self.to_q, self.to_k = torch.nn.Linear(dim, 64), torch.nn.Linear(context_dim, 64)
    def forward(self, x, context):
        return (self.to_q(x) @ self.to_k(context).transpose(-1, -2)).softmax(-1)
attention = CrossAttention(320, 768)
attention(torch.randn(1, 16, 320), torch.randn(1, 77, 1024))
