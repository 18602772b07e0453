"""Tests of reading images."""

from pathlib import Path

import pytest
import torch

from dlcoder.templates.components.datasets.read_image import read_image

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


def test_a_damaged_file_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG damaged")
    with pytest.raises(RuntimeError, match=r"a\.png"):
        read_image(tmp_path / "a.png")
