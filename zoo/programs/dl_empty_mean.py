# cause: dl-empty
import torch
data = torch.utils.data.TensorDataset(torch.randn(10, 2))
loader = torch.utils.data.DataLoader(data, batch_size=32, drop_last=True)
print(f"train: {len(data)} samples, {len(loader)} batches")
total = 0.0
for (x,) in loader:
    total += x.mean().item()
print("train loss", total / len(loader))
