# cause: oom-size-bug
import torch
anchors = torch.randn(1_500_000, 1)
targets = torch.randn(1_500_000)
net = torch.nn.Linear(1, 1)
loss = ((net(anchors) - targets) ** 2).mean()
loss.backward()
