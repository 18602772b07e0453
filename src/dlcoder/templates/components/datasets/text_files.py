"""Text files as bytes: a vocabulary of 256, and no tokenizer to train or ship.

Shapes: inputs (L,), targets (L,), int64: the targets are the inputs moved by one byte.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

SEPARATOR = 0
"""Stands between files; no text holds this byte."""


class ByteText(Dataset[tuple[Tensor, Tensor]]):
    """The files below `root`, in order of their names, cut into sequences.

    Args:
        root: A folder of files.
        length: Bytes in a sequence, L.
        pattern: Which files.

    Raises:
        ValueError: There is less text than one sequence.
    """

    def __init__(
        self, root: str | Path, *, length: int, pattern: str = "**/*.txt"
    ) -> None:
        self.length = length
        self.vocab_size = 256
        paths = sorted(p for p in Path(root).glob(pattern) if p.is_file())
        text = bytes([SEPARATOR]).join(path.read_bytes() for path in paths)
        self.tokens = torch.from_numpy(np.frombuffer(text, dtype=np.uint8).copy())
        if len(self.tokens) <= length:
            raise ValueError(
                f"{root} has {len(paths)} files of {pattern} with {len(self.tokens)} "
                f"bytes; a sequence needs {length + 1}."
            )

    def fingerprint(self) -> str:
        """A hash of the text: changes when it does."""
        return f"sha256:{hashlib.sha256(self.tokens.numpy().tobytes()).hexdigest()}"

    def decode(self, tokens: Tensor) -> str:
        """Return the text of tokens (L,)."""
        return bytes(tokens.tolist()).decode("utf-8", errors="replace")

    def __len__(self) -> int:
        return (len(self.tokens) - 1) // self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(f"There are {len(self)} sequences; {index} is none.")
        start = index * self.length
        sequence = self.tokens[start : start + self.length + 1].long()
        return sequence[:-1], sequence[1:]
