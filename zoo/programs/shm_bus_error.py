# cause: shm-too-small
import os, signal, torch
class Big(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, i):
        if i == 2:
            os.kill(os.getpid(), signal.SIGBUS)
        return torch.zeros(3, 512, 512)
for batch in torch.utils.data.DataLoader(Big(), num_workers=1):
    print(batch.shape)
