import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, dim, heads=4, per_head=8, dropout=0.0):
        super().__init__()
        width = heads * per_head
        self.heads, self.scale = heads, per_head**-0.5
        self.norm = nn.LayerNorm(dim)
        self.project = nn.Linear(dim, width * 3, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.merge = nn.Linear(width, dim)

    def forward(self, x):
        b, n, _ = x.shape
        q, k, v = (t.reshape(b, n, self.heads, -1).transpose(1, 2) for t in self.project(self.norm(x)).chunk(3, dim=-1))
        attn = self.dropout((q @ k.transpose(-1, -2) * self.scale).softmax(dim=-1))
        out = (attn @ v).transpose(1, 2).reshape(b, n, -1)
        return self.merge(out)


class Widen(nn.Sequential):
    def __init__(self, dim, hidden, dropout=0.0):
        super().__init__(
            nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, dim)
        )


class PatchClassifier(nn.Module):
    def __init__(
        self, *, side=32, step=8, num_classes=5, dim=32, depth=2, heads=4, mlp_dim=64, channels=3, dropout=0.0
    ):
        super().__init__()
        n = (side // step) ** 2
        self.patch = nn.Conv2d(channels, dim, step, stride=step)
        self.pos = nn.Parameter(torch.randn(1, n + 1, dim) * 0.02)
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.layers = nn.ModuleList(
            [
                nn.ModuleList([Attention(dim, heads, dropout=dropout), Widen(dim, mlp_dim, dropout)])
                for _ in range(depth)
            ]
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, img):
        x = self.patch(img).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1) + self.pos
        for attn, ff in self.layers:
            x = attn(x) + x
            x = ff(x) + x
        return self.head(self.norm(x[:, 0]))
