# cause: host-oom
# ranks: 3
# culprit: 1
import datetime, os, signal, torch, torch.distributed as dist
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=20))
rank = dist.get_rank()
for step in range(6):
    if (rank, step) == (1, 3):
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
        cache = torch.ones(1 << 20, 4096)
    t = torch.ones(2); dist.all_reduce(t)
    print(f"[rank {rank}] step {step} loss {1 / (step + 1):.3f}", flush=True)
