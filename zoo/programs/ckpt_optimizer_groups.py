# cause: ckpt-optimizer
import torch
net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 2))
old = torch.optim.AdamW(net.parameters(), lr=1e-3)
torch.save({"model": net.state_dict(), "optimizer": old.state_dict()}, "c.pt")
ckpt = torch.load("c.pt")
net.load_state_dict(ckpt["model"])
decay = [p for p in net.parameters() if p.ndim > 1]
no_decay = [p for p in net.parameters() if p.ndim <= 1]
optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.1}, {"params": no_decay, "weight_decay": 0.0}])
optimizer.load_state_dict(ckpt["optimizer"])
