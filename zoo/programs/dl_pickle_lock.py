# cause: dl-pickle
import threading, torch
class Locked(torch.utils.data.Dataset):
    def __init__(self):
        self.lock = threading.Lock()
    def __len__(self):
        return 4
    def __getitem__(self, i):
        return i
if __name__ == "__main__":
    next(iter(torch.utils.data.DataLoader(Locked(), num_workers=2, multiprocessing_context="forkserver")))
