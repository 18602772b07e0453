# cause: host-oom
# also: oom-leak
# ranks: 2
# launch: torchrun
import os, signal, time, torch, torch.distributed as dist
dist.init_process_group("gloo")
for step in range(5):
    dist.all_reduce(torch.ones(1))
    print("step", step, "rss", 20 + step * 9, "GB", flush=True)
    if step == 3 and dist.get_rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
