# cause: dl-main-guard
import torch
dataset = torch.utils.data.TensorDataset(torch.randn(16, 3))
for (x,) in torch.utils.data.DataLoader(dataset, batch_size=4, num_workers=1, multiprocessing_context="spawn"):
    print(x.shape)
