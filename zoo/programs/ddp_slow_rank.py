# cause: ddp-slow-rank-timeout
# ranks: 2
import datetime, time, torch, torch.distributed as dist
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=2))
rank = dist.get_rank()
if rank == 0:
    for part in range(1, 9):
        time.sleep(0.5)
        print(f"Running tokenizer on dataset: {part * 12}%|{'#' * part}", flush=True)
dist.barrier()
print(f"[rank {rank}] start training")
