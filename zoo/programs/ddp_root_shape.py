# cause: shape-matmul
# ranks: 2
# culprit: 1
# launch: torchrun
import torch, torch.distributed as dist
dist.init_process_group("gloo")
rank = dist.get_rank()
net = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(8, 2))
for step in range(4):
    width = 9 if (rank, step) == (1, 2) else 8
    net(torch.randn(2, width)).sum().backward()
    print(f"step {step}", flush=True)
