# cause: ddp-unused-parameters
# ranks: 2
import torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP
dist.init_process_group("gloo")
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__(); self.used, self.aux = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
    def forward(self, x):
        return self.used(x)
net = DDP(Net())
opt = torch.optim.SGD(net.parameters(), 0.1)
for step in range(3):
    loss = net(torch.randn(2, 4)).sum()
    opt.zero_grad(); loss.backward(); opt.step()
    print("step", step, flush=True)
