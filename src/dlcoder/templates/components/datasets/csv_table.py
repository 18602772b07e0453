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

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.datasets.read_table import Table, moments


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
        table = Table(path)
        self.targets = list(targets) or table.names[-1:]
        others = [name for name in table.names if name not in self.targets]
        self.features = list(features) or others
        if not self.features:
            raise ValueError(f"{path} has no columns beside the targets.")
        if both := sorted(set(self.features) & set(self.targets)):
            raise ValueError(f"{both[0]!r} is a feature and a target.")
        inputs = table.numbers(self.features)
        outputs = table.numbers(self.targets)
        self.scaling = scaling or Scaling(*moments(inputs), *moments(outputs))
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
