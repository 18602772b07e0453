"""Images from files, upright, in one form.

Shapes: image (3, H, W), uint8.
"""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"}


def read_image(path: Path | BinaryIO) -> Tensor:
    """Return an image as the file has it, upright, (3, H, W), uint8.

    Raises:
        RuntimeError: The file cannot be decoded. Its path is named: skipping it in
            silence would hide damaged data.
    """
    return torch.from_numpy(read_pixels(path, mode="RGB")).permute(2, 0, 1)


def read_pixels(path: Path | BinaryIO, *, mode: str | None = None) -> Any:
    """Return the pixels of a file, upright, as an array.

    Args:
        path: The file, by its path or open.
        mode: What Pillow converts them to; None for as they are.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError("Reading images needs Pillow: pip install pillow.") from error
    try:
        with Image.open(path) as file:
            # Phones store the rotation beside the pixels.
            upright = ImageOps.exif_transpose(file)
            return np.array(upright.convert(mode) if mode else upright)
    except OSError as error:
        raise RuntimeError(f"{path} cannot be read as an image: {error}") from error
