# cause: dist-backend-unavailable
import torch.distributed as dist
dist.init_process_group("mpi")
