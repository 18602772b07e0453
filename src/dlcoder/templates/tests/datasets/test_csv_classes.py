"""Tests of the CSV table of classes."""

from pathlib import Path

import pytest
import torch

from dlcoder.templates.components.datasets.csv_classes import CsvClasses

TABLE = "height,weight,kind\n30,4,dog\n50,6,cat\n40,5,dog\n"


def write(folder: Path, text: str, name: str = "train.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_last_column_is_the_class(tmp_path: Path) -> None:
    data = CsvClasses(write(tmp_path, TABLE))
    assert (data.features, data.target) == (["height", "weight"], "kind")
    assert (data.classes, len(data), data.num_features) == (["cat", "dog"], 3, 2)
    features, label = data[2]
    torch.testing.assert_close(features, torch.zeros(2))
    assert (label.dtype, int(label)) == (torch.int64, 1)


def test_another_split_is_measured_and_labeled_as_the_training_set(
    tmp_path: Path,
) -> None:
    train = CsvClasses(write(tmp_path, TABLE))
    text = "kind,weight,height\ndog,5,60\n"
    val = CsvClasses(
        write(tmp_path, text, "val.csv"),
        features=train.features,
        target=train.target,
        classes=train.classes,
        scaling=train.scaling,
    )
    features, label = val[0]
    mean, std = train.scaling
    torch.testing.assert_close(
        features.double() * std + mean, torch.tensor([60.0, 5.0]).double()
    )
    assert int(label) == 1


def test_columns_and_the_order_of_classes_can_be_chosen(tmp_path: Path) -> None:
    data = CsvClasses(
        write(tmp_path, TABLE.replace("kind", "a").replace("height", "kind")),
        features=["weight"],
        target="a",
        classes=["dog", "fish", "cat"],
    )
    assert data.num_features == 1
    assert [int(data[i][1]) for i in range(3)] == [0, 2, 0]


def test_what_cannot_be_told_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, TABLE)
    with pytest.raises(ValueError, match="kind 'cat' is none of the 1 classes"):
        CsvClasses(path, classes=["dog"])
    with pytest.raises(ValueError, match="'kind' is a feature and the target"):
        CsvClasses(path, features=["kind"])
    with pytest.raises(ValueError, match="no columns beside the target"):
        CsvClasses(write(tmp_path, "kind\ncat\n"))


def test_the_fingerprint_changes_with_the_file(tmp_path: Path) -> None:
    before = CsvClasses(write(tmp_path, TABLE)).fingerprint()
    assert CsvClasses(write(tmp_path, TABLE)).fingerprint() == before
    assert CsvClasses(write(tmp_path, TABLE + "1,2,cat\n")).fingerprint() != before
