# cause: dl-worker-crash
import os, torch
class Records(torch.utils.data.IterableDataset):
    def __iter__(self):
        for i in range(6):
            if i == 4:
                os.abort()
            yield torch.tensor(i)
for x in torch.utils.data.DataLoader(Records(), batch_size=1, num_workers=2):
    print(x)
