# cause: ddp-collective-mismatch
# ranks: 2
import torch, torch.distributed as dist
dist.init_process_group("gloo")
classes = 10 if dist.get_rank() == 0 else 12
net = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(8, classes))
