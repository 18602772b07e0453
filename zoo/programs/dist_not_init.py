# cause: dist-not-initialized
import torch, torch.distributed as dist
loss = torch.tensor(1.0)
dist.all_reduce(loss)
