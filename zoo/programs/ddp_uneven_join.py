# cause: ddp-uneven-inputs
# ranks: 2
import torch, torch.distributed as dist
dist.init_process_group("gloo")
rank = dist.get_rank()
net = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(4, 1))
with net.join(throw_on_early_termination=True):
    for step in range(5 - rank):
        net(torch.randn(2, 4)).sum().backward()
