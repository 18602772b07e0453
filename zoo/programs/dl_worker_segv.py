# cause: dl-worker-crash
import ctypes, torch
class Videos(torch.utils.data.Dataset):
    def __len__(self):
        return 8
    def __getitem__(self, i):
        if i == 5:
            ctypes.string_at(0)
        return torch.zeros(3, 4, 4)
for step, batch in enumerate(torch.utils.data.DataLoader(Videos(), batch_size=2, num_workers=1)):
    print("step", step, batch.shape)
