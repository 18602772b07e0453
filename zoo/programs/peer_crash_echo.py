# cause: ddp-peer-crash
# ranks: 3
# drop: 1
import datetime, os, torch, torch.distributed as dist
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=20))
rank = dist.get_rank()
for step in range(5):
    if (rank, step) == (1, 3):
        os._exit(1)
    dist.all_reduce(torch.ones(2))
    print(f"[rank {rank}] step {step}", flush=True)
