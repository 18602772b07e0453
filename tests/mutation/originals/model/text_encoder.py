"""A text classifier that leaves padding out."""

import math

import torch
from torch import Tensor, nn


class TextEncoder(nn.Module):
    """Token indices (B, T) with an attention mask (1 marks tokens) to logits (B, num_classes)."""

    def __init__(
        self, vocab_size: int, num_classes: int, dim: int = 32, heads: int = 2, depth: int = 2, max_len: int = 32
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, dim)
        position = torch.arange(max_len).unsqueeze(1)
        rate = torch.exp(torch.arange(0, dim, 2) * (-math.log(10000.0) / dim))
        table = torch.zeros(max_len, dim)
        table[:, 0::2], table[:, 1::2] = torch.sin(position * rate), torch.cos(position * rate)
        self.register_buffer("table", table)
        layer = nn.TransformerEncoderLayer(dim, heads, 2 * dim, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the class logits of the mean over tokens."""
        x = self.tokens(input_ids) + self.table[: input_ids.shape[1]]
        x = self.encoder(x, src_key_padding_mask=attention_mask == 0)
        keep = attention_mask.unsqueeze(-1).to(x.dtype)
        pooled = (x * keep).sum(dim=1) / keep.sum(dim=1).clamp_min(1)
        return self.head(pooled)
