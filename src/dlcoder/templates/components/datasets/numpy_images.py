"""Images and their classes in two .npy files, read in place.

Shapes: the file of images (N, H, W, 3), or (N, H, W) where they are gray, uint8; image
(3, S, S), float32, normalized; label (), int64.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from dlcoder.templates.components.datasets.normalize import normalize
from dlcoder.templates.components.datasets.numpy_classes import NumpyClasses
from dlcoder.templates.components.datasets.square import square


class NumpyImages(NumpyClasses):
    """Images with a label each.

    Args:
        images: The file of images.
        labels: The file of labels, (N,), integers from 0.
        image_size: Height and width of the result in pixels, S. The shorter side is
            scaled to it and the middle is cut out.
        classes: The names of the classes, by label; their numbers by default. Give the
            training set's to every other split.

    Raises:
        ValueError: The files hold different numbers of samples, or none, images have
            another form, or a label is no integer or none of `classes`.
    """

    def __init__(
        self,
        images: str | Path,
        labels: str | Path,
        *,
        image_size: int,
        classes: Sequence[str] | None = None,
    ) -> None:
        super().__init__(images, labels, classes=classes)
        self.image_size = image_size
        first, _ = super().__getitem__(0)
        gray, color = first.ndim == 2, first.ndim == 3 and first.shape[2] == 3
        if first.dtype != torch.uint8 or not (gray or color):
            raise ValueError(
                f"{images} holds images of {first.dtype} {tuple(first.shape)}, not "
                "uint8 (H, W, 3) or (H, W)."
            )

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        pixels, label = super().__getitem__(index)
        gray = pixels.ndim == 2
        image = pixels.expand(3, -1, -1) if gray else pixels.permute(2, 0, 1)
        return normalize(square(image, self.image_size)), label
