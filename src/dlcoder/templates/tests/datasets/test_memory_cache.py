"""Tests of items in memory."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.datasets.memory_cache import MemoryCache


class Counting(Dataset[tuple[Tensor, int]]):
    """Counts how often an item is made."""

    made = 0

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        self.made += 1
        return torch.full((2,), float(index)), index


def doubled(image: Tensor, label: int) -> tuple[Tensor, int]:
    return 2 * image, label


def test_items_are_made_once_and_not_changed_by_their_users() -> None:
    data = Counting()
    cache = MemoryCache(data)
    cache[1][0].zero_()
    assert [cache[i][0].tolist() for i in range(3)] == [[0, 0], [1, 1], [2, 2]]
    assert (data.made, len(cache)) == (3, 3)


def test_what_is_kept_is_transformed() -> None:
    image, label = MemoryCache(Counting(), transform=doubled)[1]
    assert (image.tolist(), label) == ([2, 2], 1)
