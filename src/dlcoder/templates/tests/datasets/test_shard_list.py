"""Tests of what shards there are."""

from pathlib import Path

import pytest

pytest.importorskip("webdataset", reason="shards need WebDataset")

from dlcoder.templates.components.datasets.shard_list import ShardList


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        (tmp_path / f"part-{number}.tar").write_bytes(b"." * number)
    return tmp_path


def names(pattern: str) -> list[str]:
    return [
        Path(path).name
        for path in ShardList(pattern, classes="ab", image_size=8).shards
    ]


def test_braces_and_asterisks_mean_several(folder: Path) -> None:
    assert names(f"{folder}/part-{{0..1}}.tar") == ["part-0.tar", "part-1.tar"]
    assert names(f"{folder}/*.tar") == [f"part-{number}.tar" for number in range(3)]


def test_what_is_elsewhere_is_not_looked_for() -> None:
    assert names("https://example.org/{0..1}.tar") == ["0.tar", "1.tar"]


def test_missing_shards_are_an_error(folder: Path) -> None:
    for pattern in ("part-{2..3}.tar", "val-*.tar"):
        with pytest.raises(FileNotFoundError, match="no shards"):
            names(f"{folder}/{pattern}")


def test_the_fingerprint_changes_with_names_and_sizes(folder: Path) -> None:
    def fingerprint() -> str:
        return ShardList(f"{folder}/*.tar", classes="ab", image_size=8).fingerprint()

    first = fingerprint()
    assert fingerprint() == first
    (folder / "part-0.tar").write_bytes(b".")
    second = fingerprint()
    (folder / "part-1.tar").rename(folder / "part-9.tar")
    assert len({first, second, fingerprint()}) == 3
