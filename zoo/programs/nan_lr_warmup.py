# cause: nan-lr-too-high
import torch
torch.manual_seed(1)
w = torch.nn.Parameter(torch.randn(20) * 0.1)
opt = torch.optim.SGD([w], lr=0.0)
x = torch.randn(256, 20)
for step in range(60):
    opt.param_groups[0]["lr"] = 0.03 * step
    loss = ((x @ w - x.sum(1)) ** 2).mean()
    opt.zero_grad(); loss.backward(); opt.step()
    if step % 3 == 0:
        print({"step": step, "loss": round(loss.item(), 4), "learning_rate": round(opt.param_groups[0]["lr"], 3)})
    if not torch.isfinite(loss):
        raise SystemExit(f"Loss is {loss.item()}, stopping training")
