"""Sequences of tokens with a real grammar, made on the fly.

    next = f(token, token before),    and with a probability of `noise` any token

A model that sees one token only cannot predict the next; one that attends to two can.
The rule is the same for every seed: training and validation speak one language.

Shapes: inputs (L,), targets (L,), int64: the targets are the inputs moved by one token.
"""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.utils.seeding import mix_seed


class SyntheticText(Dataset[tuple[Tensor, Tensor]]):
    """A learnable language, the same for the same arguments.

    Args:
        samples: The number of sequences.
        vocab_size: The number of different tokens, V.
        length: Tokens in a sequence, L.
        seed: What sequences depend on. Give splits different seeds.
        noise: The probability that a token breaks the rule.
    """

    def __init__(
        self,
        samples: int,
        *,
        vocab_size: int,
        length: int,
        seed: int,
        noise: float = 0.1,
    ) -> None:
        self.samples = samples
        self.vocab_size = vocab_size
        self.length = length
        self.seed = seed
        self.noise = noise
        generator = torch.Generator().manual_seed(mix_seed(vocab_size))
        shape = (vocab_size, vocab_size)
        rule = torch.randint(vocab_size, shape, generator=generator)
        self.rule: list[list[int]] = rule.tolist()

    def fingerprint(self) -> str:
        """What tells this version of the data from another."""
        return (
            f"synthetic text samples={self.samples} vocabulary={self.vocab_size} "
            f"length={self.length} seed={self.seed} noise={self.noise}"
        )

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(mix_seed(self.seed, index))
        count = self.length + 1
        tokens = torch.randint(self.vocab_size, (count,), generator=generator).tolist()
        free = (torch.rand(count, generator=generator) < self.noise).tolist()
        for place in range(2, count):
            if not free[place]:
                tokens[place] = self.rule[tokens[place - 2]][tokens[place - 1]]
        sequence = torch.tensor(tokens)
        return sequence[:-1], sequence[1:]
