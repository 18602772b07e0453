# cause: dl-path
import torch
from PIL import Image
class Pairs(torch.utils.data.Dataset):
    def __len__(self):
        return 3
    def __getitem__(self, i):
        return Image.open(f"masks/{i:04}.png")
next(iter(torch.utils.data.DataLoader(Pairs(), num_workers=1)))
