# cause: dl-collate-shapes
import torch
class Maybe(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, i):
        return {"x": torch.ones(2), "mask": None}
next(iter(torch.utils.data.DataLoader(Maybe(), batch_size=2)))
