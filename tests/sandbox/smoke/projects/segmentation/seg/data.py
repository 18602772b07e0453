import random

import torch
from torch.utils.data import Dataset


class Blobs(Dataset):
    """Images with one bright disc; the mask holds its class, a border of ignored pixels lies around it."""

    def __init__(self, samples, size, classes, seed, training, ignore_index):
        self.samples, self.size, self.classes, self.seed = samples, size, classes, seed
        self.training, self.ignore_index = training, ignore_index

    def __len__(self):
        return self.samples

    def __getitem__(self, index):
        g = torch.Generator().manual_seed(self.seed * 100003 + index)
        y, x = torch.meshgrid(torch.arange(self.size), torch.arange(self.size), indexing="ij")
        cy, cx = torch.randint(4, self.size - 4, (2,), generator=g).tolist()
        kind = int(torch.randint(1, self.classes, (1,), generator=g))
        distance = ((y - cy) ** 2 + (x - cx) ** 2).float().sqrt()
        mask = torch.zeros(self.size, self.size, dtype=torch.long)
        mask[distance < 5] = self.ignore_index
        mask[distance < 4] = kind
        image = 0.2 * torch.randn(3, self.size, self.size, generator=g)
        image[kind - 1] += (distance < 4).float()
        if self.training and random.random() < 0.5:
            image, mask = image.flip(-1), mask.flip(-1)
        return {"image": image, "mask": mask}
