"""Texts with labels, tokenized to one length."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset


class Tokenized(Dataset[dict[str, Tensor]]):
    """Ids and attention mask (length,) of each text, and its label."""

    def __init__(
        self, texts: Sequence[str], labels: Sequence[int], tokenizer: Callable[[str], list[int]], length: int = 16
    ) -> None:
        self.texts = texts
        self.labels = labels
        self.tokenizer = tokenizer
        self.length = length

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        ids = self.tokenizer(self.texts[index])[: self.length]
        padding = [0] * (self.length - len(ids))
        return {
            "input_ids": torch.tensor([*ids, *padding]),
            "attention_mask": torch.tensor([*([1] * len(ids)), *padding]),
            "label": torch.tensor(self.labels[index]),
        }
