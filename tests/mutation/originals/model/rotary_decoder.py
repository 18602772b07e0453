from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Sizes:
    dim: int = 32
    n_layers: int = 2
    n_heads: int = 4
    vocab_size: int = 64
    max_seq_len: int = 32


def all_phases(dim, end, theta=10000.0):
    freqs = 1.0 / (theta ** (torch.arange(0, dim, 2).float() / dim))
    t = torch.arange(end)
    return torch.polar(torch.ones(end, dim // 2), torch.outer(t, freqs))


def turn(x, phases):
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * phases[None, :, None]).flatten(3).type_as(x)


class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


class Block(nn.Module):
    def __init__(self, sizes: Sizes):
        super().__init__()
        self.n_heads = sizes.n_heads
        self.project = nn.Linear(sizes.dim, 3 * sizes.dim, bias=False)
        self.merge = nn.Linear(sizes.dim, sizes.dim, bias=False)
        self.up = nn.Linear(sizes.dim, 2 * sizes.dim, bias=False)
        self.gate = nn.Linear(sizes.dim, 2 * sizes.dim, bias=False)
        self.down = nn.Linear(2 * sizes.dim, sizes.dim, bias=False)
        self.n1, self.n2 = RMSNorm(sizes.dim), RMSNorm(sizes.dim)

    def forward(self, x, phases):
        batch, time, dim = x.shape
        q, k, v = self.project(self.n1(x)).view(batch, time, 3, self.n_heads, -1).unbind(2)
        q, k = turn(q, phases), turn(k, phases)
        y = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True)
        x = x + self.merge(y.transpose(1, 2).reshape(batch, time, dim))
        h = self.n2(x)
        return x + self.down(F.silu(self.up(h)) * self.gate(h))


class Transformer(nn.Module):
    def __init__(self, sizes: Sizes):
        super().__init__()
        self.tokens_in = nn.Embedding(sizes.vocab_size, sizes.dim)
        self.layers = nn.ModuleList(Block(sizes) for _ in range(sizes.n_layers))
        self.norm = RMSNorm(sizes.dim)
        self.output = nn.Linear(sizes.dim, sizes.vocab_size, bias=False)
        self.register_buffer("phases", all_phases(sizes.dim // sizes.n_heads, sizes.max_seq_len), persistent=False)

    def forward(self, tokens):
        h = self.tokens_in(tokens)
        for layer in self.layers:
            h = layer(h, self.phases[: tokens.shape[1]])
        return self.output(self.norm(h))
