# cause: ddp-dataloader-hang
# context: hangs at the first batch
import faulthandler, threading, torch
faulthandler.dump_traceback_later(3, exit=True)
lock = threading.Lock()
lock.acquire()
class Locked(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, i):
        with lock:
            return i
print("epoch 0", flush=True)
for batch in torch.utils.data.DataLoader(Locked(), num_workers=2):
    print(batch)
