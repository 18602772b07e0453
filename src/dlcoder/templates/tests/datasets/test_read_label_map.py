"""Tests of reading label maps."""

from pathlib import Path

import pytest

from dlcoder.templates.components.datasets.read_label_map import read_label_map

Image = pytest.importorskip("PIL.Image", reason="reading images needs Pillow")


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
