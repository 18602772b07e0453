# cause: dist-not-initialized
import torch
data = torch.utils.data.TensorDataset(torch.randn(8, 2))
sampler = torch.utils.data.DistributedSampler(data)
