import torch
from torch import nn


class CrossAttention(nn.Module):
    def __init__(self, query_dim=16, context_dim=12, heads=2, per_head=8):
        super().__init__()
        width = heads * per_head
        self.heads = heads
        self.scale = per_head**-0.5
        self.query = nn.Linear(query_dim, width, bias=False)
        self.key_value = nn.Linear(context_dim, width * 2, bias=False)
        self.merge = nn.Linear(width, query_dim)

    def forward(self, x, context, context_mask=None):
        """x: (B, N, query_dim), context: (B, M, context_dim), context_mask: (B, M) bool, True = keep"""
        b, n, _ = x.shape
        q = self.query(x).view(b, n, self.heads, -1)
        k, v = self.key_value(context).chunk(2, dim=-1)
        k = k.view(b, -1, self.heads, q.shape[-1])
        v = v.view(b, -1, self.heads, q.shape[-1])
        sim = torch.einsum("bihd,bjhd->bhij", q, k) * self.scale
        if context_mask is not None:
            sim = sim.masked_fill(~context_mask[:, None, None, :], torch.finfo(sim.dtype).min)
        attn = sim.softmax(dim=-1)
        out = torch.einsum("bhij,bjhd->bihd", attn, v).reshape(b, n, -1)
        return self.merge(out)
