# cause: session-hangup
# ranks: 2
# launch: torchrun
import os, signal, time, torch.distributed as dist
dist.init_process_group("gloo")
for step in range(100):
    print(f"iter {step}: loss 0.{99 - step}", flush=True)
    if step == 3 and dist.get_rank() == 0:
        os.kill(os.getppid(), signal.SIGHUP)
    time.sleep(0.2)
