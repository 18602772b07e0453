"""A sampler that can be stopped and continued in the middle of an epoch."""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


class ResumableSampler(Sampler[int]):
    """A seeded permutation of `length` indices that knows how many were drawn."""

    def __init__(self, length: int, seed: int = 0) -> None:
        self.length = length
        self.seed = seed
        self.consumed = 0

    def __len__(self) -> int:
        return self.length - self.consumed

    def __iter__(self) -> Iterator[int]:
        order = torch.randperm(self.length, generator=torch.Generator().manual_seed(self.seed)).tolist()
        for index in order[self.consumed :]:
            self.consumed += 1
            yield index
        self.consumed = 0

    def state_dict(self) -> dict[str, int]:
        """The seed and the place in the epoch."""
        return {"seed": self.seed, "consumed": self.consumed}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue where another one stopped."""
        self.seed, self.consumed = state["seed"], state["consumed"]
