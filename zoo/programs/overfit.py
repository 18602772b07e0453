# cause: overfitting
import torch
torch.manual_seed(0)
x, y, vx, vy = torch.randn(24, 40), torch.randint(0, 2, (24,)), torch.randn(200, 40), torch.randint(0, 2, (200,))
net = torch.nn.Sequential(torch.nn.Linear(40, 256), torch.nn.ReLU(), torch.nn.Linear(256, 2))
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for epoch in range(20):
    loss = torch.nn.functional.cross_entropy(net(x), y)
    opt.zero_grad(); loss.backward(); opt.step()
    with torch.no_grad():
        val = torch.nn.functional.cross_entropy(net(vx), vy)
    print(f"Epoch {epoch}: train_loss={loss.item():.4f} val_loss={val.item():.4f}")
