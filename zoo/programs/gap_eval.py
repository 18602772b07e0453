# cause: train-eval-gap
# context: train accuracy 99%, but with model.eval() accuracy is at chance even on the training set
import torch
torch.manual_seed(0)
x = torch.randn(256, 8) * 5 + 30
y = (x[:, 0] > 30).long()
net = torch.nn.Sequential(torch.nn.BatchNorm1d(8, momentum=0.0), torch.nn.Linear(8, 2))
opt = torch.optim.Adam(net.parameters(), 0.05)
for epoch in range(20):
    net.train(); out = net(x)
    loss = torch.nn.functional.cross_entropy(out, y); opt.zero_grad(); loss.backward(); opt.step()
train = (out.argmax(1) == y).float().mean()
net.eval()
print(f"train acc {train:.3f} eval acc (model.eval(), same data) {(net(x).argmax(1) == y).float().mean():.3f}")
