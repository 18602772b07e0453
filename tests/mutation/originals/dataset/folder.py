"""Images in one folder per class."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset


class FolderDataset(Dataset):
    """root/<class>/<name>.png as float images (3, H, W) in [0, 1] with a class index."""

    def __init__(self, root: str) -> None:
        self.classes = sorted(p.name for p in Path(root).iterdir() if p.is_dir())
        self.items = [(p, i) for i, name in enumerate(self.classes) for p in sorted((Path(root) / name).glob("*.png"))]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self.items[index]
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255, label
