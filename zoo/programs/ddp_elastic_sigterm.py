# cause: time-limit
# ranks: 2
# launch: torchrun
import os, signal, time, torch.distributed as dist
dist.init_process_group("gloo")
for step in range(100):
    print(f"step {step} loss {1 / (step + 1):.3f}", flush=True)
    if step == 3 and dist.get_rank() == 0:
        os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(0.2)
