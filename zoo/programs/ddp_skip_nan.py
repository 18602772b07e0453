# cause: ddp-divergent-branch
# ranks: 2
# context: ranks skip batches with bad loss
import datetime, os, sys, time, torch, torch.distributed as dist
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=3))
rank = dist.get_rank()
for step in range(4):
    loss = torch.tensor(float("nan") if (rank, step) == (1, 2) else 0.5)
    if not torch.isfinite(loss):
        print(f"[rank {rank}] step {step}: skipping non-finite loss", flush=True)
        time.sleep(5)
        continue
    dist.all_reduce(loss)
    print(f"[rank {rank}] step {step} loss {loss.item() / 2:.3f}", flush=True)
