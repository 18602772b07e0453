# cause: ddp-collective-mismatch
# ranks: 2
# env: TORCH_DISTRIBUTED_DEBUG=DETAIL
import torch, torch.distributed as dist
dist.init_process_group("gloo")
rank = dist.get_rank()
for step in range(3):
    valid = torch.ones(4 if rank == 0 or step < 2 else 5)
    dist.all_reduce(valid)
