# cause: dl-label-format
# ranks: 3
# culprit: 2
import datetime, torch, torch.distributed as dist
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=20))
rank = dist.get_rank()
samples = [{"image": 0, "labels": 1} for _ in range(5)]
if rank == 2:
    samples[3].pop("labels")
for step, sample in enumerate(samples):
    loss = torch.tensor(float(sample["labels"])); dist.all_reduce(loss)
    print(f"[rank {rank}] step {step} loss {loss.item():.3f}", flush=True)
