"""Tests of memory-mapped images."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from dlcoder.templates.components.datasets.normalize import normalize
from dlcoder.templates.components.datasets.numpy_images import NumpyImages


def write(folder: Path, images: npt.NDArray[Any], size: int = 4) -> NumpyImages:
    np.save(folder / "x.npy", images)
    np.save(folder / "y.npy", np.arange(len(images)))
    return NumpyImages(folder / "x.npy", folder / "y.npy", image_size=size)


def test_channels_come_first_and_gray_becomes_color(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    image, label = write(tmp_path, pixels)[1]
    expected = torch.from_numpy(pixels[1]).permute(2, 0, 1)
    torch.testing.assert_close(image, normalize(expected))
    assert int(label) == 1
    gray, _ = write(tmp_path, pixels[..., 0])[1]
    torch.testing.assert_close(gray, normalize(expected[:1].expand(3, -1, -1)))


def test_images_are_scaled_and_cut(tmp_path: Path) -> None:
    image, _ = write(tmp_path, np.zeros((1, 6, 9, 3), dtype=np.uint8), size=3)[0]
    assert image.shape == (3, 3, 3)


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (2, 8)])
def test_another_form_is_an_error(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"not uint8 \(H, W, 3\)"):
        write(tmp_path, np.zeros(shape, dtype=np.uint8))
    with pytest.raises(ValueError, match=r"images of torch\.float32"):
        write(tmp_path, np.zeros((2, 8, 8, 3)))
