"""Tests of the CSV table."""

from pathlib import Path

import pytest
import torch

from dlcoder.templates.components.datasets.csv_table import CsvTable

TABLE = "age,income,price\n30,1000,5\n50,3000,7\n40,2000,9\n"


def write(folder: Path, text: str, name: str = "train.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_last_column_is_predicted_from_the_others(tmp_path: Path) -> None:
    data = CsvTable(write(tmp_path, TABLE))
    assert (data.features, data.targets) == (["age", "income"], ["price"])
    assert (len(data), data.num_features, data.num_targets) == (3, 2, 1)
    features, targets = data[2]
    assert features.dtype == targets.dtype == torch.float32
    torch.testing.assert_close(features, torch.zeros(2))


def test_columns_are_standardized_and_constant_ones_are_zero(tmp_path: Path) -> None:
    data = CsvTable(
        write(tmp_path, TABLE.replace("1000", "3000").replace("2000", "3000"))
    )
    features, targets = (
        torch.stack(part) for part in zip(*[data[i] for i in range(3)], strict=True)
    )
    assert features[:, 1].tolist() == [0, 0, 0]
    for column in (features[:, 0], targets[:, 0]):
        torch.testing.assert_close(column.mean(), torch.tensor(0.0))
        torch.testing.assert_close(column.std(unbiased=False), torch.tensor(1.0))


def test_another_split_is_measured_in_the_training_sets_unit(tmp_path: Path) -> None:
    train = CsvTable(write(tmp_path, TABLE), targets=["price"])
    path = write(tmp_path, "price,age,income\n7,40,4000\n", "val.csv")
    val = CsvTable(
        path, features=train.features, targets=train.targets, scaling=train.scaling
    )
    features, targets = val[0]
    assert features[0] == targets[0] == 0
    value = targets * train.scaling.target_std + train.scaling.target_mean
    assert float(value) == 7


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    data = CsvTable(
        write(tmp_path, TABLE), features=["price"], targets=["age", "income"]
    )
    assert [part.shape for part in data[0]] == [(1,), (2,)]


def test_what_cannot_be_predicted_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, TABLE)
    with pytest.raises(ValueError, match="no columns beside the targets"):
        CsvTable(path, targets=["age", "income", "price"])
    with pytest.raises(ValueError, match="'age' is a feature and a target"):
        CsvTable(path, features=["age"], targets=["age"])
    with pytest.raises(FileNotFoundError, match=r"val\.csv"):
        CsvTable(tmp_path / "val.csv")


def test_the_fingerprint_changes_with_the_file(tmp_path: Path) -> None:
    before = CsvTable(write(tmp_path, TABLE)).fingerprint()
    assert CsvTable(write(tmp_path, TABLE)).fingerprint() == before
    assert CsvTable(write(tmp_path, TABLE + "1,2,3\n")).fingerprint() != before
