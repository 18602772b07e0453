# cause: disk-full
# ranks: 2
# culprit: 0
import datetime, torch, torch.distributed as dist
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=20))
net = torch.nn.Linear(64, 64)
for step in range(4):
    dist.all_reduce(torch.ones(1))
    print(f"rank {dist.get_rank()} step {step}", flush=True)
    if step == 2 and dist.get_rank() == 0:
        torch.save(net.state_dict(), "/dev/full")
