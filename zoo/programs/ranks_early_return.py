# cause: ddp-divergent-branch
# ranks: 2
import datetime, torch, torch.distributed as dist
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=3))
def evaluate(rank):
    if rank != 0:
        return None
    score = torch.tensor([0.8])
    dist.all_reduce(score)
    return score / 2
rank = dist.get_rank()
print(f"[rank {rank}] epoch 1 train loss 0.41", flush=True)
print(f"[rank {rank}] eval:", evaluate(rank), flush=True)
import time; time.sleep(5)
