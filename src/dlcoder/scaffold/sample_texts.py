"""A little text, so that a project that reads text can prove itself before it has seen the user's."""

import json
import struct
from functools import cache

_VOCABULARY = 60


@cache
def sample_texts() -> dict[str, bytes]:
    """Counted rhymes: files of text, by their path in the sample folder."""
    return {
        "train/first.txt": _rhymes(range(9)),
        "train/more/second.txt": _rhymes(range(9, 16)),
        "val/third.txt": _rhymes(range(16, 20)),
    }


@cache
def sample_tokens() -> dict[str, bytes]:
    """Tokens that follow from the two before, as 16-bit numbers with their description."""
    return {
        name: content
        for split, first, count in (("train", 1, 20), ("val", 2, 7))
        for name, content in _tokens(split, first, 16 * count + 1).items()
    }


def _rhymes(numbers: range) -> bytes:
    verses = (f"Ship number {n} sails at {n % 12 + 1}, the crew sings {n * n % 7} songs of the sea.\n" for n in numbers)
    return "".join(verses).encode()


def _tokens(split: str, first: int, count: int) -> dict[str, bytes]:
    tokens = [first, 3]
    while len(tokens) < count:
        tokens.append((2 * tokens[-1] + tokens[-2] + 1) % _VOCABULARY)
    meta = {"dtype": "uint16", "vocab_size": _VOCABULARY, "tokens": count}
    return {
        f"{split}.bin": struct.pack(f"<{count}H", *tokens),
        f"{split}.json": (json.dumps(meta) + "\n").encode(),
    }
