"""Label maps from files, upright.

Shapes: label map (H, W), int64.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dlcoder.templates.components.datasets.read_image import read_pixels


def read_label_map(path: Path) -> Tensor:
    """Return a file of labels, one a pixel, (H, W), int64.

    A palette, as in Pascal VOC, only says how labels are shown: they are its indices.

    Raises:
        RuntimeError: The file cannot be decoded.
        ValueError: It holds colors, not labels.
    """
    labels = read_pixels(path)
    if labels.ndim != 2:
        raise ValueError(
            f"{path} has {labels.shape[2]} channels; a label map has one. Convert its "
            "colors to labels once, and save them as a gray or palette PNG."
        )
    return torch.from_numpy(labels.astype(np.int64))
