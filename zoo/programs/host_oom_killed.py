# cause: host-oom
# launch: shell
import os, signal
print("Loading checkpoint shards:  33%|███▎      | 1/3 [00:11<00:22, 11.20s/it]", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
