# cause: nan-bad-data
import torch
torch.manual_seed(0)
x, y = torch.randn(64, 5), torch.randn(64, 1)
x[37, 2] = float("nan")
net = torch.nn.Linear(5, 1)
opt = torch.optim.SGD(net.parameters(), lr=1e-4)
for step, (xb, yb) in enumerate(zip(x.split(8), y.split(8))):
    if not torch.isfinite(xb).all():
        print(f"step {step}: found nan values in input batch")
    loss = (net(xb) - yb).pow(2).mean()
    opt.zero_grad(); loss.backward(); opt.step()
    print(f"step {step} loss {loss.item():.4f} lr 1e-04")
