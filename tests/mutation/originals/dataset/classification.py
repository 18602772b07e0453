"""Classification data in memory, split by a fixed permutation."""

import torch
from torch import Tensor
from torch.utils.data import Dataset


class ArrayDataset(Dataset):
    """Images (N, 3, H, W) and labels (N,), all of them or one split."""

    def __init__(self, images: Tensor, labels: Tensor, split: str = "all", noise: float = 0.05) -> None:
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0)).tolist()
        cut = int(0.8 * len(order))
        parts = {"all": range(len(images)), "train": order[:cut], "val": order[cut:]}
        self.indices = list(parts[split])
        self.images, self.labels = images, labels
        self.noise = noise if split == "all" else 0.0

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        where = self.indices[index]
        image = self.images[where].clone()
        if self.noise:
            image += self.noise * torch.randn(image.shape)
        return image, int(self.labels[where])
