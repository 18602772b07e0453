"""Rows of a CSV file as standardized features and a class.

    height,weight,kind
    31,4.2,cat
    58,22.0,dog

Mean and standard deviation come from the training set and are kept, as the classes are:
other splits, and later the deployed model, must use the same.

    train = CsvClasses("train.csv", target="kind")
    val = CsvClasses(
        "val.csv",
        features=train.features,
        target=train.target,
        classes=train.classes,
        scaling=train.scaling,
    )

Shapes: features (F,), float32; label (), int64.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.datasets.read_table import Table, moments


class CsvClasses(Dataset[tuple[Tensor, Tensor]]):
    """A table in memory, with one column that names a class.

    Args:
        path: The file, whose first line names the columns.
        features: The columns that a class is told from, F of them; by default all but
            the target.
        target: The column of the class; by default the last.
        classes: The names of the classes, by label; found by default, in alphabetical
            order. Give the training set's to every other split.
        scaling: Mean (F,) and standard deviation (F,) of the training set's features,
            float64, for every other split; by default this file's own.

    Raises:
        ValueError: A column is missing, a feature is no finite number, a class is none
            of `classes`, or there are no rows.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        features: Sequence[str] = (),
        target: str = "",
        classes: Sequence[str] | None = None,
        scaling: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.path = Path(path)
        table = Table(path)
        self.target = target or table.names[-1]
        others = [name for name in table.names if name != self.target]
        self.features = list(features) or others
        if not self.features:
            raise ValueError(f"{path} has no columns beside the target.")
        if self.target in self.features:
            raise ValueError(f"{self.target!r} is a feature and the target.")
        names = table.texts(self.target)
        self.classes = list(classes or sorted(set(names)))
        if unknown := sorted(set(names) - set(self.classes)):
            raise ValueError(
                f"{path}: {self.target} {unknown[0]!r} is none of the "
                f"{len(self.classes)} classes."
            )
        labels = {name: label for label, name in enumerate(self.classes)}
        self.labels = torch.tensor([labels[name] for name in names])
        values = table.numbers(self.features)
        self.scaling = scaling or moments(values)
        mean, std = self.scaling
        self.rows = ((values - mean) / std).float()

    @property
    def num_features(self) -> int:
        """F."""
        return len(self.features)

    def fingerprint(self) -> str:
        """A hash of the file: changes when the data does."""
        return f"sha256:{hashlib.sha256(self.path.read_bytes()).hexdigest()}"

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.rows[index], self.labels[index]
