# cause: dl-path
# ranks: 2
# culprit: 0
# launch: torchrun
import torch, torch.distributed as dist
dist.init_process_group("gloo")
if dist.get_rank() == 0:
    vocab = open("vocab.json").read()
dist.barrier()
