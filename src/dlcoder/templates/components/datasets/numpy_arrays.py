"""Inputs and targets in two .npy files, read in place.

Shapes: whatever the files hold after the first dimension, which counts the samples.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset


class NumpyArrays(Dataset[tuple[Tensor, Tensor]]):
    """Two arrays of equally many samples.

    Args:
        inputs: The file of inputs, (N, ...).
        targets: The file of targets, (N, ...).

    Raises:
        ValueError: The files hold different numbers of samples, or none.
    """

    def __init__(self, inputs: str | Path, targets: str | Path) -> None:
        self.paths = (Path(inputs), Path(targets))
        self.arrays: list[npt.NDArray[Any]] | None = None
        lengths = [len(array) for array in self._open()]
        self.length = lengths[0]
        if lengths[0] != lengths[1]:
            raise ValueError(
                f"{inputs} holds {lengths[0]} samples, {targets} {lengths[1]}."
            )

        if not self.length:
            raise ValueError(f"{inputs} holds no samples.")

    @property
    def num_features(self) -> int:
        """Numbers in an input."""
        return int(self._open()[0][0].size)

    @property
    def num_targets(self) -> int:
        """Numbers in a target."""
        return int(self._open()[1][0].size)

    def fingerprint(self) -> str:
        """A hash over the files' names, sizes and times: changes when the data does."""
        digest = hashlib.sha256()
        for path in self.paths:
            status = path.stat()
            entry = f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\0"
            digest.update(entry.encode())
        return f"sha256:{digest.hexdigest()}"

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        inputs, targets = self._open()
        # Copied: what is changed later must not reach the file.
        sample = _tensor(inputs[index]), _tensor(targets[index])
        for path, part in zip(self.paths, sample, strict=True):
            if not part.isfinite().all():
                raise ValueError(f"{path}: sample {index} is not finite.")
        return sample

    def _open(self) -> list[npt.NDArray[Any]]:
        # On first use: each worker maps the files for itself.
        if self.arrays is None:
            self.arrays = [np.load(path, mmap_mode="r") for path in self.paths]
        return self.arrays

    def __getstate__(self) -> dict[str, Any]:
        # Pickled, a memory map would become a copy of the whole file.
        return {**self.__dict__, "arrays": None}


def _tensor(value: Any) -> Tensor:
    array = np.array(value)
    # Double precision, NumPy's own default, is not what models compute in.
    return torch.from_numpy(array.astype(np.float32) if array.dtype == float else array)
