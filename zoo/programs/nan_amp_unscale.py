# cause: nan-amp-overflow
import torch
net = torch.nn.Linear(4, 1).half()
opt = torch.optim.SGD(net.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cpu")
loss = net(torch.randn(2, 4).half()).sum()
scaler.scale(loss).backward()
scaler.unscale_(opt)
torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
scaler.step(opt)
