"""Tables from CSV files, with the place of whatever is wrong in them.

Shapes: columns of numbers (rows, columns), float64: years or prices would lose their
last digits in float32.
"""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor


class Table:
    """The cells of a file, whose first line names the columns.

    Args:
        path: The file.

    Raises:
        ValueError: There are no names or no rows, a name comes twice, or a row has
            more or fewer cells than there are names.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            self.names = next(reader, [])
            self.rows = [(reader.line_num, row) for row in reader if row]
        if not self.names:
            raise ValueError(f"{path} has no columns: its first line should name them.")
        if twice := [name for name in self.names if self.names.count(name) > 1]:
            raise ValueError(f"{path} has several columns named {twice[0]!r}.")
        if not self.rows:
            raise ValueError(f"{path} has no rows.")
        for line, row in self.rows:
            if len(row) != len(self.names):
                raise ValueError(
                    f"{path}, line {line} has {len(row)} cells, and the header "
                    f"{len(self.names)}."
                )

    def texts(self, name: str) -> list[str]:
        """Return a column as it is written."""
        if name not in self.names:
            known = ", ".join(self.names)
            raise ValueError(f"{self.path} has no column {name!r}; it has {known}.")
        place = self.names.index(name)
        return [row[place] for _, row in self.rows]

    def numbers(self, names: Sequence[str]) -> Tensor:
        """Return columns as numbers, (rows, columns), float64."""
        columns = [
            [
                _number(text, f"{self.path}, line {line}: {name}")
                for (line, _), text in zip(self.rows, self.texts(name), strict=True)
            ]
            for name in names
        ]
        return torch.tensor(columns, dtype=torch.float64).T


def moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each column, 1 for a constant one."""
    mean, std = values.mean(dim=0), values.std(dim=0, correction=0)
    # A constant column becomes 0, instead of noise or infinity.
    constant = std <= 1e-12 * values.abs().amax(dim=0)
    return mean, std.masked_fill(constant, 1.0)


def _number(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{place} is {text!r}, no finite number.")
    return value
