# cause: not-learning-lr
# context: loss stays flat
import torch
torch.manual_seed(0)
net, x = torch.nn.Linear(10, 3), torch.randn(256, 10)
y = (x[:, :3]).argmax(1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
schedule = torch.optim.lr_scheduler.LambdaLR(opt, lambda step: max(0.0, 1 - step / 2))
for step in range(12):
    loss = torch.nn.functional.cross_entropy(net(x), y)
    opt.zero_grad(); loss.backward(); opt.step(); schedule.step()
    print(f"step {step} loss {loss.item():.4f} lr {opt.param_groups[0]['lr']:.6f}")
