# cause: not-learning-bug
# context: regression does not learn, loss stalls
import torch
torch.manual_seed(0)
x = torch.randn(128, 4); y = x.sum(1)
net = torch.nn.Linear(4, 1)
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
for epoch in range(4):
    loss = torch.nn.functional.mse_loss(net(x), y)
    opt.zero_grad(); loss.backward(); opt.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
