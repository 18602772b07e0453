"""Images on disk, one folder a class.

    root/cat/001.jpg
    root/dog/whatever/002.png

Shapes: image (3, S, S), float32, normalized; label, int.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.datasets.class_folders import class_folders
from dlcoder.templates.components.datasets.normalize import normalize
from dlcoder.templates.components.datasets.read_image import SUFFIXES, read_image
from dlcoder.templates.components.datasets.square import square


class ImageFolder(Dataset[tuple[Tensor, int]]):
    """The images below `root`, labeled by the folder that holds them.

    Args:
        root: A folder with one sub-folder for each class.
        image_size: Height and width of the result in pixels, S. The shorter side is
            scaled to it and the middle is cut out.
        classes: The names of the classes, by label; the sub-folders' names in order
            by default. Give the training set's to every other split: a split may lack
            a class, and labels must not shift.

    Raises:
        FileNotFoundError: `root` is no folder or holds no images.
        ValueError: A sub-folder is none of `classes`.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        image_size: int,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.root = Path(root)
        self.image_size = image_size
        self.classes = class_folders(self.root, classes)
        self.samples = [
            (path, label)
            for label, name in enumerate(self.classes)
            for path in sorted((self.root / name).rglob("*"))
            if path.suffix.lower() in SUFFIXES
        ]
        if not self.samples:
            raise FileNotFoundError(f"{self.root} holds no images in class folders.")

    def fingerprint(self) -> str:
        """A hash over the names and sizes of all files: changes when the data does."""
        digest = hashlib.sha256()
        for path, _ in self.samples:
            name = path.relative_to(self.root).as_posix()
            digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        return f"sha256:{digest.hexdigest()}"

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self.samples[index]
        return normalize(square(read_image(path), self.image_size)), label
