"""Rows of numbers and their classes in two .npy files, read in place.

Rows should be standardized. Shapes: features (F,), float32; label (), int64.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.datasets.numpy_arrays import NumpyArrays


class NumpyClasses(Dataset[tuple[Tensor, Tensor]]):
    """Samples with a label each.

    Args:
        inputs: The file of inputs, (N, ...).
        labels: The file of labels, (N,), integers from 0.
        classes: The names of the classes, by label; their numbers by default. Give the
            training set's to every other split.

    Raises:
        ValueError: The files hold different numbers of samples, or none, or a label is
            no integer or none of `classes`.
    """

    def __init__(
        self,
        inputs: str | Path,
        labels: str | Path,
        *,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.arrays = NumpyArrays(inputs, labels)
        values = np.load(labels)
        if values.ndim != 1 or values.dtype.kind not in "iu":
            raise ValueError(
                f"{labels} holds {values.dtype} {values.shape}, not one integer a "
                "sample."
            )
        least, most = int(values.min()), int(values.max())
        self.classes = list(classes or map(str, range(most + 1)))
        if least < 0 or most >= len(self.classes):
            raise ValueError(
                f"{labels} has labels from {least} to {most}, and there are "
                f"{len(self.classes)} classes."
            )

    @property
    def num_features(self) -> int:
        """Numbers in an input."""
        return self.arrays.num_features

    def fingerprint(self) -> str:
        """A hash over the files' names, sizes and times: changes when the data does."""
        return self.arrays.fingerprint()

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        features, label = self.arrays[index]
        return features, label.to(torch.int64)
