"""Tests of the augmented dataset."""

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dlcoder.templates.components.datasets.augmented import Augmented


class Zeros(Dataset[tuple[Tensor, int]]):
    """Ten blank images."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.zeros(3, 4, 4), index


def add_noise(image: Tensor, generator: torch.Generator) -> Tensor:
    return image + torch.randn(image.shape, generator=generator)


DATA = Augmented(Zeros(), add_noise, seed=0)


def test_a_draw_is_always_the_same() -> None:
    assert torch.equal(DATA[2, 7][0], DATA[2, 7][0])
    assert DATA[2, 7][1] == 7


def test_epochs_and_samples_differ() -> None:
    images = [DATA[epoch, index][0] for epoch in range(3) for index in range(10)]
    assert len({tuple(image.flatten().tolist()) for image in images}) == 30


def test_workers_change_nothing() -> None:
    draws = [[(1, 3), (1, 5)], [(1, 0), (1, 9)]]
    alone = list(DataLoader(DATA, batch_sampler=draws))
    helped = list(DataLoader(DATA, batch_sampler=draws, num_workers=1))
    for first, second in zip(alone, helped, strict=True):
        assert torch.equal(first[0], second[0])
