"""Images listed in a CSV file, with one label or several.

    path,label            path,cat,dog
    a/1.jpg,cat           a/1.jpg,1,0
    b/2.jpg,dog           b/2.jpg,1,1

Shapes: image (3, S, S), float32, normalized; label an int64 scalar, or labels (C,),
float32, of 0 and 1.
"""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.datasets.normalize import normalize
from dlcoder.templates.components.datasets.read_image import read_image
from dlcoder.templates.components.datasets.square import square


class CsvImages(Dataset[tuple[Tensor, Tensor]]):
    """The images that a file lists, in its order.

    Args:
        path: The file, with a column `path` and either a column `label` or one column
            a class.
        image_size: Height and width of the result in pixels, S.
        root: The folder that paths begin at; the file's own by default.
        classes: The names of the classes, in order; found by default. Give the
            training set's to every other split.

    Raises:
        ValueError: A column is missing, a label is none of `classes`, a flag is not 0
            or 1, or there are no rows.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        image_size: int,
        root: str | Path | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.path = Path(path)
        self.root = Path(root) if root is not None else self.path.parent
        self.image_size = image_size
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or [])
            rows = list(reader)
        if "path" not in columns or len(columns) < 2 or not rows:
            raise ValueError(f"{self.path} needs rows with a path and labels.")
        self.paths = [self.root / row["path"] for row in rows]
        names = [name for name in columns if name != "path"]
        if "label" in columns:
            labels = [row["label"] for row in rows]
            if not all(labels):
                place = labels.index(next(label for label in labels if not label))
                raise ValueError(f"{self.path}: {rows[place]['path']} has no label.")
            self.classes = list(classes or sorted(set(labels)))
            number = {name: label for label, name in enumerate(self.classes)}
            if unknown := sorted(set(labels) - set(number)):
                raise ValueError(
                    f"{self.path}: {unknown[0]!r} is none of {self.classes}."
                )
            self.labels = torch.tensor([number[label] for label in labels])
        else:
            self.classes = list(classes or names)
            if missing := [name for name in self.classes if name not in names]:
                raise ValueError(f"{self.path} lacks the columns {missing}.")
            flags = [[self._flag(row[name]) for name in self.classes] for row in rows]
            self.labels = torch.tensor(flags)

    def _flag(self, text: str | None) -> float:
        if text not in ("0", "1"):
            raise ValueError(f"{self.path}: a flag is {text!r}, neither 0 nor 1.")
        return float(text)

    def fingerprint(self) -> str:
        """A hash of the list and of the images' sizes: changes when the data does."""
        digest = hashlib.sha256(self.path.read_bytes())
        for path in self.paths:
            digest.update(f"{path.stat().st_size}\0".encode())
        return f"sha256:{digest.hexdigest()}"

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = square(read_image(self.paths[index]), self.image_size)
        return normalize(image), self.labels[index]
