# cause: native-crash
# ranks: 2
# culprit: 1
import ctypes, datetime, faulthandler, torch, torch.distributed as dist
faulthandler.enable()
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=20))
for step in range(4):
    dist.all_reduce(torch.ones(1))
    print(f"[rank {dist.get_rank()}] step {step} loss {1 / (step + 2):.3f}", flush=True)
    if step == 2 and dist.get_rank() == 1:
        ctypes.string_at(0)
