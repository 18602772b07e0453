# cause: env-missing-module
# ranks: 2
# culprit: 1
import datetime, torch, torch.distributed as dist
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=20))
if dist.get_rank() == 1:
    import wandb_core_helper
dist.all_reduce(torch.ones(1))
print("logging ready", flush=True)
