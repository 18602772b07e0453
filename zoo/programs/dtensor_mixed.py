# cause: dist-sharded-config
# ranks: 2
import torch, torch.distributed as dist
from torch.distributed.tensor import Shard, distribute_tensor, init_device_mesh
mesh = init_device_mesh("cpu", (2,))
weight = distribute_tensor(torch.randn(8, 4), mesh, [Shard(0)])
torch.nn.functional.linear(torch.randn(2, 4), weight)
