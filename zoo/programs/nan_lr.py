# cause: nan-lr-too-high
import torch
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(10, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
opt = torch.optim.SGD(net.parameters(), lr=8.0)
x, y = torch.randn(128, 10), torch.randn(128, 1)
for step in range(12):
    loss = torch.nn.functional.mse_loss(net(x), y)
    opt.zero_grad(); loss.backward(); opt.step()
    print(f"step: {step} loss: {loss.item():.4f} lr: {opt.param_groups[0]['lr']}")
