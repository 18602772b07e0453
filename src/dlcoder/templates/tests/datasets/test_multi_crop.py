"""Tests of several crops of an image."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dlcoder.templates.components.datasets.multi_crop import MultiCrop, random_crop
from dlcoder.templates.components.datasets.sampler import ResumableBatchSampler


class Ramps(Dataset[tuple[Tensor, int]]):
    """Images whose pixels say where they are: the row, the column, and the image."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        rows = torch.linspace(0, 1, 40).reshape(-1, 1).expand(40, 60)
        columns = torch.linspace(0, 1, 60).expand(40, 60)
        return torch.stack([rows, columns, torch.full((40, 60), float(index))]), index


def unchanged(image: Tensor, generator: torch.Generator) -> Tensor:
    return image


def crops(seed: int = 0, **options: Any) -> MultiCrop:
    sizes = {"global_size": 16, "local_crops": 3, "local_size": 8, **options}
    return MultiCrop(Ramps(), unchanged, seed=seed, **sizes)


def extent(crop: Tensor) -> float:
    """The part of the image's area that a crop shows."""
    rows, columns = crop[0], crop[1]
    return float((rows.max() - rows.min()) * (columns.max() - columns.min()))


def test_global_crops_come_first_and_show_more() -> None:
    for index in range(8):
        views = crops()[0, index]
        assert [tuple(view.shape) for view in views] == (
            [(3, 16, 16)] * 2 + [(3, 8, 8)] * 3
        )
        assert all(round(float(view[2].mean()), 3) == index for view in views)
        assert min(map(extent, views[:2])) > 0.25
        assert max(map(extent, views[2:])) < 0.45


def test_places_and_forms_differ() -> None:
    views = [view for index in range(8) for view in crops()[0, index]]
    assert len({tuple(view[:2].flatten().tolist()) for view in views}) == len(views)


def test_another_number_of_local_crops_leaves_the_global_ones() -> None:
    few, many = crops(local_crops=0)[1, 2], crops(local_crops=5)[1, 2]
    assert len(few) == 2
    assert all(torch.equal(a, b) for a, b in zip(few, many[:2], strict=True))


def batches(epoch: int, workers: int = 0, rank: int = 0, world: int = 1) -> Any:
    sampler = ResumableBatchSampler(
        8, 4 // world, seed=1, rank=rank, world_size=world, with_epoch=True
    )
    sampler.seek(epoch)
    return list(DataLoader(crops(), batch_sampler=sampler, num_workers=workers))


def test_workers_change_nothing_and_epochs_do() -> None:
    one, two, later = batches(0), batches(0, workers=2), batches(1)
    assert [tuple(view.shape) for view in one[0]][::4] == [(4, 3, 16, 16), (4, 3, 8, 8)]
    for first, second in zip(one, two, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(one[0][0], later[0][0])


def test_ranks_together_see_what_one_would() -> None:
    shares = [batches(0, rank=rank, world=2)[0][0] for rank in (0, 1)]
    both = torch.stack(shares, dim=1).flatten(0, 1)
    assert torch.equal(both, batches(0)[0][0])


def test_an_image_of_one_pixel_is_no_error() -> None:
    generator = torch.Generator().manual_seed(0)
    crop = random_crop(torch.ones(3, 1, 1), 4, 0.05, 0.4, generator)
    assert torch.equal(crop, torch.ones(3, 4, 4))
