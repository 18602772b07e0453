"""Segmentation data in memory, with augmentation."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset


class SegmentationDataset(Dataset):
    """Images (N, 3, H, W) in [0, 1] and masks (N, H, W); resized, and flipped at random in training."""

    def __init__(self, images: Tensor, masks: Tensor, size: int = 24, augment: bool = True) -> None:
        self.images = images
        self.masks = masks
        self.size = size
        self.augment = augment

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, mask = self.images[index], self.masks[index]
        image = F.interpolate(image[None], size=(self.size, self.size), mode="bilinear", align_corners=False)[0]
        mask = F.interpolate(mask[None, None].float(), size=(self.size, self.size), mode="nearest")[0, 0].long()
        if self.augment and torch.rand(()) < 0.5:
            image, mask = image.flip(-1), mask.flip(-1)
        if self.augment:
            image = image * (0.8 + 0.4 * torch.rand(()))
        return (image - 0.5) / 0.25, mask
