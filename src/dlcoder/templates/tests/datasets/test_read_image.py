"""Tests of reading images and label maps."""

from pathlib import Path

import pytest
import torch

from dlcoder.templates.components.datasets.read_image import (
    normalize,
    read_image,
    read_label_map,
)

Image = pytest.importorskip("PIL.Image", reason="reading images needs Pillow")


def test_an_image_is_read_upright(tmp_path: Path) -> None:
    picture = Image.new("RGB", (4, 2), (255, 0, 0))
    picture.putpixel((0, 0), (0, 0, 255))
    rotation = Image.Exif()
    rotation[0x0112] = 6  # turned by 90 degrees
    picture.save(tmp_path / "a.png", exif=rotation)
    image = read_image(tmp_path / "a.png")
    assert (image.shape, image.dtype) == ((3, 4, 2), torch.uint8)
    assert image[:, 0, 1].tolist() == [0, 0, 255]


def test_a_palette_s_indices_are_the_labels(tmp_path: Path) -> None:
    picture = Image.new("P", (3, 2), 0)
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    picture.putpixel((2, 1), 2)
    picture.save(tmp_path / "a.png")
    assert read_label_map(tmp_path / "a.png").tolist() == [[0, 0, 0], [0, 0, 2]]


def test_colors_are_no_labels(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="3 channels"):
        read_label_map(tmp_path / "a.png")


def test_a_damaged_file_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG damaged")
    with pytest.raises(RuntimeError, match=r"a\.png"):
        read_image(tmp_path / "a.png")


def test_the_mean_color_of_photographs_becomes_zero() -> None:
    image = 255 * torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
    torch.testing.assert_close(normalize(image), torch.zeros(3, 1, 1))
