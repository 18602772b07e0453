"""Windows over a stream of tokens, for language models."""

from torch import Tensor
from torch.utils.data import Dataset


class TokenWindows(Dataset):
    """Inputs and next tokens, both (block_size,) int64, from adjacent windows of one stream."""

    def __init__(self, tokens: Tensor, block_size: int = 8) -> None:
        self.tokens = tokens
        self.block_size = block_size

    def __len__(self) -> int:
        return (len(self.tokens) - 1) // self.block_size

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        start = index * self.block_size
        window = self.tokens[start : start + self.block_size + 1]
        return window[:-1], window[1:]
