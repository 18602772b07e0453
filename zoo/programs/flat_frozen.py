# cause: not-learning-bug
# context: the loss does not go down at all
# give: code
import torch
torch.manual_seed(0)
x, y = torch.randn(256, 10), torch.randint(0, 3, (256,))
net = torch.nn.Sequential(torch.nn.Linear(10, 32), torch.nn.ReLU(), torch.nn.Linear(32, 3))
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for epoch in range(8):
    logits = net(x).detach()
    logits.requires_grad_()
    loss = torch.nn.functional.cross_entropy(logits, y)
    opt.zero_grad(); loss.backward(); opt.step()
    print(f"epoch {epoch} lr 0.001 loss {loss.item():.6f}")
