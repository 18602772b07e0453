# cause: ddp-divergent-branch
# ranks: 3
import datetime, torch, torch.distributed as dist
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=30))
rank = dist.get_rank()
if rank != 2:
    print(f"[rank {rank}] validating", flush=True)
    dist.monitored_barrier(timeout=datetime.timedelta(seconds=2), wait_all_ranks=True)
    print(f"[rank {rank}] validation done", flush=True)
else:
    print(f"[rank {rank}] no validation on this rank, training finished", flush=True)
import time; time.sleep(4)
