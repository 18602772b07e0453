# cause: ddp-param-ready-twice
# ranks: 2
import torch, torch.distributed as dist
from torch.utils.checkpoint import checkpoint
dist.init_process_group("gloo")
class Shared(torch.nn.Module):
    def __init__(self):
        super().__init__(); self.block = torch.nn.Linear(8, 8)
    def forward(self, x):
        x = checkpoint(self.block, x, use_reentrant=True)
        return checkpoint(self.block, x, use_reentrant=True)
net = torch.nn.parallel.DistributedDataParallel(Shared(), find_unused_parameters=True)
net(torch.randn(2, 8, requires_grad=True)).sum().backward()
