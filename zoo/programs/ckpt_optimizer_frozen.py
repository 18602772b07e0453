# cause: ckpt-optimizer
import torch
net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 2))
saved = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9).state_dict()
net[0].requires_grad_(False)
opt = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1, momentum=0.9)
print("=> loading optimizer")
opt.load_state_dict(saved)
