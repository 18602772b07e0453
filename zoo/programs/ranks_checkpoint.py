# cause: ckpt-corrupt
# ranks: 2
# culprit: 1
import datetime, torch, torch.distributed as dist
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=20))
rank = dist.get_rank()
path = f"shard_{rank}.pt"
torch.save({"w": torch.randn(4000)}, path)
if rank == 1:
    data = open(path, "rb").read()
    open(path, "wb").write(data[: len(data) - 1000])
print(f"rank {rank}: loading {path}", flush=True)
state = torch.load(path)
dist.barrier()
print(f"rank {rank}: resumed", flush=True)
dist.all_reduce(torch.ones(1))
