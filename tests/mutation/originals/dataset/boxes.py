import torch
from torch.utils.data import Dataset


class BoxDataset(Dataset):
    def __init__(self, images, annotations, hflip_prob=0.5):
        self.images, self.annotations, self.hflip_prob = images, annotations, hflip_prob

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        image = self.images[i]
        boxes = torch.as_tensor(self.annotations[i]["boxes"], dtype=torch.float32).reshape(-1, 4).clone()
        labels = torch.as_tensor(self.annotations[i]["labels"], dtype=torch.int64)
        if torch.rand(()) < self.hflip_prob:
            image = image.flip(-1)
            width = image.shape[-1]
            boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
        return image, {"boxes": boxes, "labels": labels}


def collate(batch):
    return tuple(zip(*batch))
