# cause: dist-not-initialized
# ranks: 1
import torch.distributed as dist
dist.init_process_group("gloo")
dist.init_process_group("gloo")
