"""Images and label maps from files, upright, in one form.

Shapes: image (3, H, W), float32, normalized with the mean and standard deviation of
ImageNet, which suit natural photographs; label map (H, W), int64.
"""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"}
MEAN = torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)


def read_image(path: Path | BinaryIO) -> Tensor:
    """Return an image as the file has it, upright, (3, H, W), uint8.

    Raises:
        RuntimeError: The file cannot be decoded. Its path is named: skipping it in
            silence would hide damaged data.
    """
    return torch.from_numpy(_decode(path, "RGB")).permute(2, 0, 1)


def read_label_map(path: Path) -> Tensor:
    """Return a file of labels, one a pixel, (H, W), int64.

    A palette, as in Pascal VOC, only says how labels are shown: they are its indices.

    Raises:
        RuntimeError: The file cannot be decoded.
        ValueError: It holds colors, not labels.
    """
    labels = _decode(path, None)
    if labels.ndim != 2:
        raise ValueError(
            f"{path} has {labels.shape[2]} channels; a label map has one. Convert its "
            "colors to labels once, and save them as a gray or palette PNG."
        )
    return torch.from_numpy(labels.astype(np.int64))


def normalize(image: Tensor) -> Tensor:
    """Bring an image (3, H, W) of values from 0 to 255 to the scale of ImageNet's."""
    return (image.float() / 255 - MEAN) / STD


def _decode(path: Path | BinaryIO, mode: str | None) -> Any:
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
