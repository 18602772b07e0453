# cause: perf-data-bound
# context: training is slow
import time, torch
class Slow(torch.utils.data.Dataset):
    def __len__(self):
        return 16
    def __getitem__(self, i):
        time.sleep(0.03)
        return torch.randn(8)
end = time.time()
for i, x in enumerate(torch.utils.data.DataLoader(Slow(), batch_size=2)):
    data_time = time.time() - end
    x.pow(2).sum()
    print(f"iter {i} time: {time.time() - end:.4f} data_time: {data_time:.4f} loss: {0.7 - i / 20:.3f}")
    end = time.time()
