# cause: dl-collate-shapes
import torch
class Text(torch.utils.data.Dataset):
    def __len__(self):
        return 6
    def __getitem__(self, i):
        return {"input_ids": torch.arange(i + 3)}
for batch in torch.utils.data.DataLoader(Text(), batch_size=3, num_workers=1):
    print(batch["input_ids"].shape)
