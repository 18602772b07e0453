"""Rows of a CSV file as features and targets, standardized.

Mean and standard deviation come from the training set and are kept: other splits, and
later the deployed model, must use the same numbers.

    train = CsvTable("train.csv", targets=["price"])
    val = CsvTable(
        "val.csv",
        features=train.features,
        targets=train.targets,
        scaling=train.scaling,
    )

Shapes: features (F,), targets (T,), float32.
"""

import csv
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset


@dataclass(frozen=True)
class Scaling:
    """What is subtracted from columns, and what they are divided by then.

    Attributes:
        feature_mean: (F,), float64: years or prices would lose their last digits.
        feature_std: (F,), float64, 1 for a constant column.
        target_mean: (T,), float64.
        target_std: (T,), float64, 1 for a constant column.
    """

    feature_mean: Tensor
    feature_std: Tensor
    target_mean: Tensor
    target_std: Tensor


class CsvTable(Dataset[tuple[Tensor, Tensor]]):
    """A table of numbers in memory.

    Args:
        path: The file, whose first line names the columns.
        features: The columns that a prediction is made from, F of them; by default all
            that are no targets.
        targets: The columns to predict, T of them; by default the last.
        scaling: The training set's, for every other split; by default this file's own.

    Raises:
        ValueError: A column is missing, a cell is no finite number, or there are no
            rows.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        features: Sequence[str] = (),
        targets: Sequence[str] = (),
        scaling: Scaling | None = None,
    ) -> None:
        self.path = Path(path)
        names, table = _read(self.path)
        self.targets = list(targets) or names[-1:]
        self.features = list(features) or [n for n in names if n not in self.targets]
        if not self.features:
            raise ValueError(f"{path} has no columns beside the targets.")
        if both := sorted(set(self.features) & set(self.targets)):
            raise ValueError(f"{both[0]!r} is a feature and a target.")
        inputs = _columns(table, names, self.features, self.path)
        outputs = _columns(table, names, self.targets, self.path)
        self.scaling = scaling or Scaling(*_moments(inputs), *_moments(outputs))
        used = self.scaling
        self.rows = (
            ((inputs - used.feature_mean) / used.feature_std).float(),
            ((outputs - used.target_mean) / used.target_std).float(),
        )

    @property
    def num_features(self) -> int:
        """F."""
        return len(self.features)

    @property
    def num_targets(self) -> int:
        """T."""
        return len(self.targets)

    def fingerprint(self) -> str:
        """A hash of the file: changes when the data does."""
        return f"sha256:{hashlib.sha256(self.path.read_bytes()).hexdigest()}"

    def __len__(self) -> int:
        return len(self.rows[0])

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        features, targets = self.rows
        return features[index], targets[index]


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the names of the columns, and each row with its line in the file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        names = next(reader, [])
        rows = [(reader.line_num, row) for row in reader if row]
    if not names:
        raise ValueError(f"{path} has no columns: its first line should name them.")
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{path} has several columns named {twice[0]!r}.")
    if not rows:
        raise ValueError(f"{path} has no rows.")
    for line, row in rows:
        if len(row) != len(names):
            raise ValueError(
                f"{path}, line {line} has {len(row)} cells, and the header "
                f"{len(names)}."
            )
    return names, rows


def _columns(
    table: list[tuple[int, list[str]]],
    names: list[str],
    chosen: list[str],
    path: Path,
) -> Tensor:
    """Return some columns as numbers, (rows, columns), float64."""
    for name in chosen:
        if name not in names:
            known = ", ".join(names)
            raise ValueError(f"{path} has no column {name!r}; it has {known}.")
    places = [names.index(name) for name in chosen]
    numbers = [
        [
            _number(row[place], f"{path}, line {line}: {names[place]}")
            for place in places
        ]
        for line, row in table
    ]
    return torch.tensor(numbers, dtype=torch.float64)


def _number(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{place} is {text!r}, no finite number.")
    return value


def _moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each column."""
    mean, std = values.mean(dim=0), values.std(dim=0, correction=0)
    # A constant column becomes 0, instead of noise or infinity.
    constant = std <= 1e-12 * values.abs().amax(dim=0)
    return mean, std.masked_fill(constant, 1.0)
