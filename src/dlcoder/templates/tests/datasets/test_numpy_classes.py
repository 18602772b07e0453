"""Tests of memory-mapped rows with classes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlcoder.templates.components.datasets.numpy_classes import NumpyClasses


def write(folder: Path, labels: Any) -> NumpyClasses:
    np.save(folder / "x.npy", np.arange(6.0).reshape(3, 2))
    np.save(folder / "y.npy", np.array(labels))
    return NumpyClasses(folder / "x.npy", folder / "y.npy")


@pytest.mark.parametrize("dtype", ["u1", "i4", "i8"])
def test_rows_come_with_their_labels(tmp_path: Path, dtype: str) -> None:
    data = write(tmp_path, np.array([2, 0, 1], dtype=dtype))
    assert (data.classes, len(data), data.num_features) == (["0", "1", "2"], 3, 2)
    features, label = data[0]
    assert features.tolist() == [0, 1]
    assert (features.dtype, label.dtype, int(label)) == (
        torch.float32,
        torch.int64,
        2,
    )


def test_a_split_that_lacks_a_class_keeps_the_labels(tmp_path: Path) -> None:
    write(tmp_path, [0, 1, 1])
    names = ["a", "b", "c"]
    data = NumpyClasses(tmp_path / "x.npy", tmp_path / "y.npy", classes=names)
    assert data.classes == names


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, -1, 1], "labels from -1 to 1"),
        ([0.0, 1.0, 1.0], "float64"),
        ([[0], [1], [1]], "not one integer"),
        ([0, 1], "3 samples"),
    ],
)
def test_labels_that_are_none_are_an_error(
    tmp_path: Path, labels: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write(tmp_path, labels)


def test_a_label_without_a_class_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, [0, 1, 2])
    with pytest.raises(ValueError, match="from 0 to 2, and there are 2 classes"):
        NumpyClasses(tmp_path / "x.npy", tmp_path / "y.npy", classes=["a", "b"])


def test_the_fingerprint_changes_with_a_file(tmp_path: Path) -> None:
    before = write(tmp_path, [0, 1, 1]).fingerprint()
    assert write(tmp_path, [0, 1, 0]).fingerprint() != before
