"""A long text as tokens in a binary file, read in place.

    corpus.bin    uint16 or uint32, one token after the other
    corpus.json   {"dtype": "uint16", "vocab_size": 50257, "tokens": 9035582198}

The file may be far larger than memory: the system keeps what is read often.

Shapes: inputs (L,), targets (L,), int64: the targets are the inputs moved by one token.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset


class TokenMemmap(Dataset[tuple[Tensor, Tensor]]):
    """A file of tokens, cut into sequences that do not overlap.

    Each token but the first is a target once in an epoch; what is left at the end is
    shorter than a sequence, and not used.

    Args:
        path: The file of tokens; its description lies beside it.
        length: Tokens in a sequence, L.

    Raises:
        ValueError: The file is not as long as its description says, or too short.
    """

    def __init__(self, path: str | Path, *, length: int) -> None:
        self.path = Path(path)
        self.length = length
        text = self.path.with_suffix(".json").read_text(encoding="utf-8")
        self.meta: dict[str, Any] = json.loads(text)
        self.vocab_size = int(self.meta["vocab_size"])
        self.tokens: npt.NDArray[Any] | None = None
        size = self.path.stat().st_size // np.dtype(self.meta["dtype"]).itemsize
        if size != self.meta["tokens"]:
            raise ValueError(
                f"{self.path} holds {size} tokens, not {self.meta['tokens']}: it is "
                "damaged, or of another type than its description says."
            )
        if size <= length:
            raise ValueError(f"{self.path} holds {size} tokens: too few for {length}.")

    def fingerprint(self) -> str:
        """What tells this version of the data from another."""
        meta = {"name": self.path.name, "modified": self.path.stat().st_mtime_ns}
        return json.dumps({**meta, **self.meta, "length": self.length})

    def __len__(self) -> int:
        return int(self.meta["tokens"] - 1) // self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(f"There are {len(self)} sequences; {index} is none.")
        start = index * self.length
        sequence = self._open()[start : start + self.length + 1].astype(np.int64)
        if sequence.max() >= self.vocab_size:
            raise ValueError(
                f"{self.path} has token {sequence.max()} in sequence {index}, and a "
                f"vocabulary of {self.vocab_size}."
            )
        tokens = torch.from_numpy(sequence)
        return tokens[:-1], tokens[1:]

    def _open(self) -> npt.NDArray[Any]:
        # On first use: each worker opens the file for itself.
        if self.tokens is None:
            self.tokens = np.memmap(self.path, dtype=self.meta["dtype"], mode="r")
        return self.tokens

    def __getstate__(self) -> dict[str, Any]:
        # Pickled, a memory map would become a copy of the whole file.
        return {**self.__dict__, "tokens": None}


def write_tokens(
    path: str | Path, parts: Iterable[Iterable[int]], *, vocab_size: int
) -> None:
    """Write tokens, document by document, for `TokenMemmap` to read.

    Raises:
        ValueError: A token is outside the vocabulary.
    """
    path, count = Path(path), 0
    dtype = "uint16" if vocab_size <= 2**16 else "uint32"
    with path.open("wb") as file:
        for part in parts:
            tokens = np.fromiter(part, dtype=np.int64)
            if len(tokens) and not 0 <= tokens.min() <= tokens.max() < vocab_size:
                raise ValueError(f"A token is outside the vocabulary of {vocab_size}.")
            file.write(tokens.astype(dtype).tobytes())
            count += len(tokens)
    meta = {"dtype": dtype, "vocab_size": vocab_size, "tokens": count}
    path.with_suffix(".json").write_text(json.dumps(meta) + "\n", encoding="utf-8")
