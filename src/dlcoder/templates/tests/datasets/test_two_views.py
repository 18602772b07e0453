"""Tests of pairs of views."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.datasets.two_views import TwoViews


class Blank(Dataset[tuple[Tensor, int]]):
    """Two black images."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.zeros(3, 4, 4), index


def add_noise(image: Tensor, generator: torch.Generator) -> Tensor:
    return image + torch.randn(image.shape, generator=generator)


def test_views_differ_from_each_other_and_from_epoch_to_epoch() -> None:
    views = TwoViews(Blank(), add_noise, seed=0)
    assert len(views) == 2
    drawn = [view for draw in ((0, 0), (0, 1), (1, 0)) for view in views[draw]]
    for number, view in enumerate(drawn):
        assert all(not torch.equal(view, other) for other in drawn[:number])


def test_views_repeat() -> None:
    again = TwoViews(Blank(), add_noise, seed=0)[3, 1]
    for first, second in zip(
        TwoViews(Blank(), add_noise, seed=0)[3, 1], again, strict=True
    ):
        assert torch.equal(first, second)
