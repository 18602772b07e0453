# cause: host-oom
import os, signal, torch
class Cache(torch.utils.data.Dataset):
    def __init__(self):
        self.kept = []
    def __len__(self):
        return 100
    def __getitem__(self, i):
        self.kept.append(bytearray(1 << 16))
        if len(self.kept) > 6:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.zeros(2)
for i, batch in enumerate(torch.utils.data.DataLoader(Cache(), num_workers=1)):
    print("iter", i)
