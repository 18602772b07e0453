"""A decoder-only language model: rotary positions, RMSNorm, SwiGLU, grouped queries.

    x = x + attention(norm(x));   x = x + swiglu(norm(x));   logits = norm(x) W

Shapes: B batch, L length, D width, H query heads, K key/value heads, E = D / H, V the
size of the vocabulary.
Parameters at the size of TinyLlama (vocabulary 32,000, width 2048, 22 layers, 32 heads,
4 key/value heads, hidden 5632, untied): 1,100,048,384.
Needs torch 2.5, whose attention groups queries by itself.
References: Touvron et al., arXiv:2302.13971; Su et al. (rotary positions),
arXiv:2104.09864; Ainslie et al. (grouped queries), arXiv:2305.13245.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Cache = list[tuple[Tensor, Tensor]]
"""Keys and values (B, K, L, E) of every layer, of the tokens seen so far."""


class GPT(nn.Module):
    """A causal transformer.

    Args:
        vocab_size: The number of tokens, V.
        width: D.
        layers: The number of blocks.
        heads: H; D is an even multiple of it, since rotary positions turn pairs.
        kv_heads: K, dividing H; H itself is full attention.
        hidden: Width inside the feed-forward layers; None gives 8 / 3 D, rounded up to
            a multiple of 64.
        max_length: The longest sequence.
        dropout: Probability of dropping a residual branch's element.
        tie_embeddings: Share the embedding with the output projection.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        kv_heads: int = 12,
        hidden: int | None = None,
        max_length: int = 1024,
        dropout: float = 0.0,
        tie_embeddings: bool = False,
    ) -> None:
        super().__init__()
        if width % (2 * heads) or heads % kv_heads:
            raise ValueError(
                f"width ({width}) must be an even multiple of heads ({heads}), and "
                f"heads a multiple of kv_heads ({kv_heads})"
            )
        if hidden is None:
            hidden = 64 * math.ceil(8 * width / 3 / 64)
        self.embedding = nn.Embedding(vocab_size, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(width, heads, kv_heads, hidden, dropout) for _ in range(layers)
        )
        self.norm = nn.RMSNorm(width, eps=1e-5)
        self.output = nn.Linear(width, vocab_size, bias=False)
        rotation = rotary_table(max_length, width // heads)
        self.rotation: Tensor
        self.register_buffer("rotation", rotation, persistent=False)
        self._initialize()
        if tie_embeddings:
            self.output.weight = self.embedding.weight

    def forward(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """Return logits (B, L, V) for tokens (B, L).

        Args:
            tokens: Token indices (B, L), int64.
            cache: Where to go on from; an empty list to begin one. It is extended in
                place by these tokens, and position 0 is the first that it ever saw.

        Raises:
            ValueError: The sequence is longer than `max_length`.
        """
        logits: Tensor = self.output(self.hidden_states(tokens, cache))
        return logits

    def hidden_states(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """Return what the output projection sees, (B, L, D)."""
        past = cache[0][0].shape[2] if cache else 0
        length = tokens.shape[1]
        if past + length > len(self.rotation):
            raise ValueError(
                f"{past + length} tokens exceed max_length={len(self.rotation)}"
            )
        rotation = self.rotation[past : past + length]
        x = self.dropout(self.embedding(tokens))
        for index, block in enumerate(self.blocks):
            layer_past = cache[index] if cache and past else None
            x, layer_cache = block(x, rotation, layer_past)
            if cache is not None:
                cache[index : index + 1] = [layer_cache]
        normed: Tensor = self.norm(x)
        return normed

    @torch.inference_mode()
    def generate(
        self, tokens: Tensor, count: int, *, temperature: float = 1.0
    ) -> Tensor:
        """Append `count` sampled tokens to a prompt (B, L); 0 takes the likeliest."""
        cache: Cache = []
        fresh = tokens
        for _ in range(count):
            logits = self(fresh, cache)[:, -1]
            if temperature == 0:
                fresh = logits.argmax(dim=-1, keepdim=True)
            else:
                fresh = torch.multinomial((logits / temperature).softmax(dim=-1), 1)
            tokens = torch.cat([tokens, fresh], dim=1)
        return tokens

    def _initialize(self) -> None:
        for name, parameter in self.named_parameters():
            if parameter.dim() < 2:
                continue
            # Residual branches add up: each starts smaller the more there are.
            branch = name.endswith(
                ("attention.output.weight", "feed_forward.down.weight")
            )
            scale = 0.02 / math.sqrt(2 * len(self.blocks)) if branch else 0.02
            nn.init.normal_(parameter, std=scale)


class Block(nn.Module):
    """Attention and a feed-forward layer, each behind a norm and beside a shortcut."""

    def __init__(
        self, width: int, heads: int, kv_heads: int, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(width, eps=1e-5)
        self.attention = Attention(width, heads, kv_heads)
        self.feed_forward_norm = nn.RMSNorm(width, eps=1e-5)
        self.feed_forward = SwiGLU(width, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, rotation: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Map (B, L, D) to the same shape, and return the layer's keys and values."""
        attended, cache = self.attention(self.attention_norm(x), rotation, past)
        x = x + self.dropout(attended)
        x = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        return x, cache


class Attention(nn.Module):
    """Causal attention whose query heads share key and value heads in groups."""

    def __init__(self, width: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        self.head_dim = width // heads
        self.query = nn.Linear(width, heads * self.head_dim, bias=False)
        self.key = nn.Linear(width, kv_heads * self.head_dim, bias=False)
        self.value = nn.Linear(width, kv_heads * self.head_dim, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(
        self, x: Tensor, rotation: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Attend to the past and to x (B, L, D) itself."""
        query = rotate(self._heads(self.query(x)), rotation)  # (B, H, L, E)
        key = rotate(self._heads(self.key(x)), rotation)  # (B, K, L, E)
        value = self._heads(self.value(x))
        if past is not None:
            key = torch.cat([past[0], key], dim=2)
            value = torch.cat([past[1], value], dim=2)
        attended = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=None if past is None else _mask(query, key),
            is_causal=past is None,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        out: Tensor = self.output(attended.transpose(1, 2).flatten(2))
        return out, (key, value)

    def _heads(self, x: Tensor) -> Tensor:
        heads: Tensor = x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        return heads


class SwiGLU(nn.Module):
    """A gated feed-forward layer: down(silu(gate(x)) * up(x))."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, L, D) to the same shape."""
        out: Tensor = self.down(F.silu(self.gate(x)) * self.up(x))
        return out


def rotary_table(length: int, head_dim: int, base: float = 10_000.0) -> Tensor:
    """Return cosines and sines of the angle of every position, (L, 2, E / 2)."""
    frequency = base ** (-torch.arange(0, head_dim, 2) / head_dim)
    angle = torch.outer(torch.arange(length), frequency)
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turn each pair (first half, second half) of x (B, H, L, E) by its position."""
    # In float32: half precision cannot tell neighboring angles apart far along.
    wide = torch.promote_types(x.dtype, torch.float32)
    cos, sin = table[:, 0], table[:, 1]
    first, second = x.to(wide).chunk(2, dim=-1)
    turned = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
    return turned.to(x.dtype)


def _mask(query: Tensor, key: Tensor) -> Tensor:
    """Return who may see whom (L, past + L): all the past, and itself causally.

    `is_causal` of the attention aligns the corners the other way round.
    """
    new, total = query.shape[2], key.shape[2]
    ones = torch.ones(new, total, dtype=torch.bool, device=query.device)
    return ones.tril(diagonal=total - new)
