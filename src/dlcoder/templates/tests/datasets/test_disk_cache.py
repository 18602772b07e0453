"""Tests of items on disk."""

from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dlcoder.templates.components.datasets.disk_cache import DiskCache


class Counting(Dataset[tuple[Tensor, int]]):
    """Counts how often an item is made."""

    def __init__(self, version: int = 1) -> None:
        self.version = version
        self.made = 0

    def fingerprint(self) -> str:
        return f"counting {self.version}"

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index >= 3:
            raise IndexError(index)
        self.made += 1
        return torch.full((1000,), float(index * self.version))[:2], index


class Scale:
    """A transform with a setting."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, image: Tensor, label: int) -> tuple[Tensor, int]:
        return image * self.factor, label


def test_items_are_made_once_and_come_back(tmp_path: Path) -> None:
    data = Counting()
    for _ in range(2):
        cache = DiskCache(data, tmp_path, transform=Scale(2.0))
        assert [cache[i][0].tolist() for i in range(3)] == [[0, 0], [2, 2], [4, 4]]
        assert [cache[i][1] for i in range(len(cache))] == [0, 1, 2]
    assert data.made == 3


def test_data_settings_and_version_are_in_the_key(tmp_path: Path) -> None:
    caches = [
        DiskCache(Counting(), tmp_path, transform=Scale(2.0)),
        DiskCache(Counting(2), tmp_path, transform=Scale(2.0)),
        DiskCache(Counting(), tmp_path, transform=Scale(3.0)),
        DiskCache(Counting(), tmp_path),
        DiskCache(Counting(), tmp_path, transform=Scale(2.0), version="2"),
    ]
    assert [float(cache[1][0][0]) for cache in caches] == [2, 4, 3, 1, 2]
    assert len({cache.fingerprint() for cache in caches}) == 5


def test_a_file_holds_its_item_alone(tmp_path: Path) -> None:
    cache = DiskCache(Counting(), tmp_path)
    cache[1]
    assert (cache.folder / "1.pt").stat().st_size < 3000
    assert [path.name for path in cache.folder.iterdir()] == ["1.pt"]


def test_workers_share_the_folder(tmp_path: Path) -> None:
    cache = DiskCache(Counting(), tmp_path)
    for _ in range(2):
        loader = DataLoader(cache, batch_size=3, num_workers=2)
        (batch,) = list(loader)
        assert batch[1].tolist() == [0, 1, 2]
