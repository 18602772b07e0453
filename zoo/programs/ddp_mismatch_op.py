# cause: ddp-collective-mismatch
# ranks: 2
# env: TORCH_DISTRIBUTED_DEBUG=DETAIL
import torch, torch.distributed as dist
dist.init_process_group("gloo")
x = torch.ones(4)
if dist.get_rank() == 0:
    dist.broadcast(x, 0)
else:
    dist.all_reduce(x)
