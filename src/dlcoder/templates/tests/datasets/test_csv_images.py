"""Tests of images listed in a CSV file."""

from pathlib import Path
from typing import Any

import pytest
import torch

from dlcoder.templates.components.datasets.csv_images import CsvImages

Image = pytest.importorskip("PIL.Image", reason="reading images needs Pillow")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        Image.new("RGB", (8, 6), (100 * number, 0, 0)).save(tmp_path / name)
    return tmp_path


def load(folder: Path, text: str, **options: Any) -> CsvImages:
    (folder / "list.csv").write_text(text, encoding="utf-8-sig")
    return CsvImages(folder / "list.csv", image_size=4, **options)


def test_names_become_labels_in_order(folder: Path) -> None:
    data = load(folder, "path,label\nb.png,dog\na.png,cat\nc.png,dog\n")
    assert data.classes == ["cat", "dog"]
    assert [int(data[i][1]) for i in range(3)] == [1, 0, 1]
    image, label = data[0]
    assert (image.shape, label.dtype) == ((3, 4, 4), torch.int64)
    assert float(image[0].mean()) > float(data[1][0][0].mean())


def test_one_column_a_class_makes_several_labels(folder: Path) -> None:
    data = load(folder, "path,cat,dog\na.png,1,0\nb.png,1,1\nc.png,0,0\n")
    assert data[1][1].tolist() == [1.0, 1.0]
    assert data[2][1].dtype == torch.float32
    other = load(folder, "dog,path,cat\n1,a.png,0\n", classes=data.classes)
    assert other[0][1].tolist() == [0.0, 1.0]


def test_a_split_keeps_the_training_set_s_labels(folder: Path) -> None:
    data = load(folder, "path,label\na.png,dog\n", classes=["cat", "dog"])
    assert int(data[0][1]) == 1
    with pytest.raises(ValueError, match="'eel' is none of"):
        load(folder, "path,label\na.png,eel\n", classes=["cat", "dog"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\n", "needs rows"),
        ("name,label\na.png,cat\n", "needs rows with a path"),
        ("path,cat\na.png,\n", "neither 0 nor 1"),
        ("path,label\na.png,cat\nb.png,\n", "b.png has no label"),
        ("path,label\na.png\n", "a.png has no label"),
    ],
)
def test_a_bad_list_is_an_error(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(folder, text)


def test_the_fingerprint_changes_with_the_images(folder: Path) -> None:
    data = load(folder, "path,label\na.png,dog\n")
    before = data.fingerprint()
    Image.effect_noise((8, 6), 50).save(folder / "a.png")
    assert data.fingerprint() != before
