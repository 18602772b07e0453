"""Tests of the image folder."""

from pathlib import Path

import pytest
import torch

from dlcoder.templates.components.datasets.image_folder import ImageFolder

Image = pytest.importorskip("PIL.Image", reason="reading images needs Pillow")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of two images each, one of them in a sub-folder."""
    for number, name in enumerate(
        ["cat/a.png", "cat/more/b.jpg", "dog/c.png", "dog/d.bmp"]
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20 + number, 30), (60 * number, 10, 200)).save(path)
    return tmp_path


def test_folders_are_classes(folder: Path) -> None:
    data = ImageFolder(folder, image_size=16)
    assert data.classes == ["cat", "dog"]
    assert [data[index][1] for index in range(len(data))] == [0, 0, 1, 1]


def test_images_are_square_and_normalized(folder: Path) -> None:
    image, _ = ImageFolder(folder, image_size=16)[0]
    assert image.shape == (3, 16, 16)
    expected = torch.tensor([0, 10, 200]) / 255 - torch.tensor([0.485, 0.456, 0.406])
    expected = expected / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(image[:, 8, 8], expected)


def test_given_classes_set_the_labels(folder: Path) -> None:
    data = ImageFolder(folder, image_size=16, classes=["ant", "cat", "dog"])
    assert sorted({label for _, label in data.samples}) == [1, 2]


def test_a_folder_of_no_class_is_an_error(folder: Path) -> None:
    with pytest.raises(ValueError, match="dog"):
        ImageFolder(folder, image_size=16, classes=["cat", "bird"])


def test_a_damaged_file_is_an_error_with_its_path(folder: Path) -> None:
    (folder / "cat/a.png").write_bytes(b"\x89PNG damaged")
    with pytest.raises(RuntimeError, match=r"cat/a\.png"):
        ImageFolder(folder, image_size=16)[0]


def test_no_images_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    with pytest.raises(FileNotFoundError, match="no images"):
        ImageFolder(tmp_path, image_size=16)


def test_the_fingerprint_changes_with_the_files(folder: Path) -> None:
    before = ImageFolder(folder, image_size=16).fingerprint()
    (folder / "dog/d.bmp").unlink()
    assert ImageFolder(folder, image_size=16).fingerprint() != before
