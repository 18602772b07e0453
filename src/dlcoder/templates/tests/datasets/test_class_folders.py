"""Tests of classes by their folders."""

from pathlib import Path

import pytest

from dlcoder.templates.components.datasets.class_folders import class_folders


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("dog", "cat"):
        (tmp_path / name).mkdir()
    (tmp_path / "labels.txt").touch()
    return tmp_path


def test_classes_are_the_folders_in_order(root: Path) -> None:
    assert class_folders(root, None) == ["cat", "dog"]


def test_known_classes_keep_their_labels_where_a_folder_is_missing(root: Path) -> None:
    assert class_folders(root, ["ape", "cat", "dog"]) == ["ape", "cat", "dog"]


def test_a_folder_that_is_no_class_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match="none of the 1 classes: dog"):
        class_folders(root, ["cat"])


def test_a_missing_folder_is_an_error(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match="birds is not a folder"):
        class_folders(root / "birds", None)
