# cause: ddp-dataloader-hang
import threading, torch
lock = threading.Lock()
lock.acquire()
class Locked(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, i):
        with lock:
            return i
next(iter(torch.utils.data.DataLoader(Locked(), num_workers=1, timeout=2)))
