"""Tests of memory-mapped arrays."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from dlcoder.templates.components.datasets.numpy_arrays import NumpyArrays


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", np.arange(24.0).reshape(4, 3, 2))
    np.save(tmp_path / "y.npy", np.arange(4))
    return tmp_path


def load(folder: Path) -> NumpyArrays:
    return NumpyArrays(folder / "x.npy", folder / "y.npy")


def test_samples_are_rows_of_both_files(folder: Path) -> None:
    data = load(folder)
    assert len(data) == 4
    inputs, target = data[2]
    assert inputs.tolist() == [[12, 13], [14, 15], [16, 17]]
    assert (inputs.dtype, target.dtype, int(target)) == (torch.float32, torch.int64, 2)
    with pytest.raises(IndexError):
        data[4]


def test_changing_an_item_does_not_reach_the_file(folder: Path) -> None:
    data = load(folder)
    data[1][0].zero_()
    assert data[1][0].any()


def test_files_of_different_lengths_are_an_error(folder: Path) -> None:
    np.save(folder / "y.npy", np.arange(5))
    with pytest.raises(ValueError, match=r"4 samples, .* 5"):
        load(folder)


def test_no_samples_and_samples_that_are_not_finite_are_errors(folder: Path) -> None:
    np.save(folder / "y.npy", np.array([0, 1, np.nan, 3]))
    with pytest.raises(ValueError, match=r"y\.npy: sample 2 is not finite"):
        load(folder)[2]
    for name in ("x.npy", "y.npy"):
        np.save(folder / name, np.zeros((0, 2)))
    with pytest.raises(ValueError, match="no samples"):
        load(folder)


def test_it_knows_how_many_numbers_samples_have(folder: Path) -> None:
    assert (load(folder).num_features, load(folder).num_targets) == (6, 1)


def test_it_travels_to_workers_without_its_files(folder: Path) -> None:
    np.save(folder / "x.npy", np.zeros((4, 10_000), dtype=np.float32))
    assert len(pickle.dumps(load(folder))) < 2000
    assert len(pickle.loads(pickle.dumps(load(folder)))[0][0]) == 10_000


def test_the_fingerprint_changes_with_a_file(folder: Path) -> None:
    before = load(folder).fingerprint()
    np.save(folder / "y.npy", np.zeros(4))
    assert load(folder).fingerprint() != before
