import torch
import torch.nn as nn
import torch.nn.functional as F


class GatedLinearRecurrence(nn.Module):
    """h_t = a_t * h_{t-1} + (1 - a_t) * v_t, causal over time. x: (B, T, D)"""

    def __init__(self, dim: int):
        super().__init__()
        self.in_proj = nn.Linear(dim, 3 * dim)
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, x):
        v, a, g = self.in_proj(x).chunk(3, dim=-1)
        a = torch.sigmoid(a)
        h = torch.zeros_like(v[:, 0])
        ys = []
        for t in range(x.shape[1]):
            h = a[:, t] * h + (1 - a[:, t]) * v[:, t]
            ys.append(h)
        return self.out_proj(torch.stack(ys, dim=1) * F.silu(g))


class RecurrentLM(nn.Module):
    def __init__(self, vocab=48, dim=24, depth=2):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(depth))
        self.mixers = nn.ModuleList(GatedLinearRecurrence(dim) for _ in range(depth))
        self.head = nn.Linear(dim, vocab)

    def forward(self, input_ids):
        x = self.emb(input_ids)
        for norm, mixer in zip(self.norms, self.mixers):
            x = x + mixer(norm(x))
        return self.head(x)
