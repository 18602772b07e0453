# cause: shape-broadcast
import torch
batch_size = 8
dataset = torch.utils.data.TensorDataset(torch.randn(20, 4, 5))
for i, (x,) in enumerate(torch.utils.data.DataLoader(dataset, batch_size=batch_size)):
    flat = x.view(batch_size, 20)
    print("batch", i, flat.mean().item())
