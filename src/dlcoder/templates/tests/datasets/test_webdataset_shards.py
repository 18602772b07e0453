"""Tests of images streamed from tar files."""

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

Image = pytest.importorskip("PIL.Image", reason="reading images needs Pillow")
pytest.importorskip("webdataset", reason="shards need WebDataset")

from dlcoder.templates.components.datasets.webdataset_shards import (  # noqa: E402
    WebdatasetShards,
)

SHARDS, SAMPLES = 4, 6
"""Tar files, and samples in each. A sample's label is its number in all of them."""


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("shards")
    for shard in range(SHARDS):
        with tarfile.open(folder / f"part-{shard}.tar", "w") as tar:
            for number in range(shard * SAMPLES, (shard + 1) * SAMPLES):
                image = io.BytesIO()
                Image.new("RGB", (4, 4), (10 * number, 0, 0)).save(image, "PNG")
                add(tar, f"{number:03}.png", image.getvalue())
                add(tar, f"{number:03}.cls", str(number).encode())
    return str(folder / f"part-{{0..{SHARDS - 1}}}.tar")


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def training(shards: str | list[str], **options: Any) -> WebdatasetShards:
    options = {"samples": SHARDS * SAMPLES, "batch_size": 3, "seed": 1, **options}
    return WebdatasetShards(shards, image_size=4, buffer=4, **options)


def labels(data: WebdatasetShards, workers: int = 0) -> list[list[int]]:
    loader = DataLoader(data, batch_size=None, num_workers=workers)
    return [batch[1].tolist() for batch in loader]


def flat(batches: list[list[int]]) -> list[int]:
    return [label for batch in batches for label in batch]


def test_images_come_with_their_labels(shards: str) -> None:
    for images, numbers in training(shards):
        assert (images.shape, images.dtype) == ((3, 3, 4, 4), torch.float32)
        red = (images[:, 0, 0, 0] * 0.229 + 0.485) * 255 / 10
        torch.testing.assert_close(red, numbers.float())


@pytest.mark.parametrize("workers", [0, 2])
def test_every_sample_comes_once_in_an_epoch(shards: str, workers: int) -> None:
    shares = [
        labels(training(shards, rank=rank, world_size=2), workers) for rank in (0, 1)
    ]
    assert [len(share) for share in shares] == [4, 4]
    assert sorted(flat(shares[0] + shares[1])) == list(range(SHARDS * SAMPLES))


def test_order_depends_on_seed_and_epoch(shards: str) -> None:
    data = training(shards)
    first = labels(data)
    assert labels(training(shards)) == first != labels(training(shards, seed=2))
    data.seek(1)
    assert sorted(flat(labels(data))) == sorted(flat(first))
    assert labels(data) != first


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_resuming_goes_on_where_it_was(shards: str, workers: int) -> None:
    data = training(shards, batch_size=2)
    data.seek(5)
    whole = labels(data, workers)
    assert len(whole) == len(data) == 12
    for batch in (1, 5, 11):
        data.seek(5, batch)
        assert labels(data, workers) == whole[batch:]


def test_workers_that_persist_learn_of_the_next_epoch(shards: str) -> None:
    data = training(shards)
    loader = DataLoader(data, batch_size=None, num_workers=1, persistent_workers=True)
    for epoch in range(3):
        data.seek(epoch)
        fresh = training(shards)
        fresh.seek(epoch)
        assert [batch[1].tolist() for batch in loader] == labels(fresh)


def test_ranks_with_fewer_samples_begin_anew(shards: str) -> None:
    odd = [shards.replace("{0..3}", str(shard)) for shard in (0, 1, 2)]
    shares = [
        labels(training(odd, samples=18, rank=rank, world_size=2)) for rank in (0, 1)
    ]
    assert [len(share) for share in shares] == [3, 3]
    assert all(len(flat(share)) == 9 for share in shares)


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_sees_everything_once(shards: str, workers: int) -> None:
    shares = [
        labels(
            WebdatasetShards(
                shards, image_size=4, batch_size=5, seed=0, rank=rank, world_size=2
            ),
            workers,
        )
        for rank in (0, 1)
    ]
    assert sorted(flat(shares[0] + shares[1])) == list(range(SHARDS * SAMPLES))
    assert len(shares[0][-1]) < 5


# needs: WebdatasetShards.augment
def test_augmentation_belongs_to_sample_and_epoch(shards: str) -> None:
    def draw(image: Tensor, generator: torch.Generator) -> Tensor:
        return torch.rand(1, generator=generator)

    def drawn(epoch: int, workers: int) -> dict[int, float]:
        data = training(shards, augment=draw)
        data.seek(epoch)
        loader = DataLoader(data, batch_size=None, num_workers=workers)
        return {
            int(label): float(value)
            for values, numbers in loader
            for value, label in zip(values, numbers, strict=True)
        }

    first = drawn(0, 0)
    assert first == drawn(0, 2)
    assert len(set(first.values()) | set(drawn(1, 0).values())) == 2 * len(first)


def test_too_few_shards_are_an_error(shards: str) -> None:
    data = training(shards, rank=1, world_size=5, batch_size=1)
    with pytest.raises(ValueError, match="4 shards are too few for 5"):
        next(iter(data))
    with pytest.raises(ValueError, match="do not fill one batch"):
        training(shards, batch_size=25)


def test_an_incomplete_or_damaged_sample_is_named(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        add(tar, "1.png", b"")
    options: dict[str, Any] = {"image_size": 4, "batch_size": 1, "seed": 0}
    with pytest.raises(ValueError, match=r"bad.tar/1 has png; it needs"):
        next(iter(WebdatasetShards(str(tmp_path / "bad.tar"), **options)))
    with tarfile.open(tmp_path / "bad.tar", "a") as tar:
        add(tar, "1.cls", b"0")
    with pytest.raises(RuntimeError, match=r"bad.tar/1.png cannot be read"):
        next(iter(WebdatasetShards(str(tmp_path / "bad.tar"), **options)))


# needs: WebdatasetShards.num_classes
def test_a_label_that_is_none_is_named(shards: str) -> None:
    with pytest.raises(ValueError, match=r"part-\d.tar/\d+ has label \d+ of 5 classes"):
        labels(training(shards, num_classes=5))
