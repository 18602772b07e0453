# cause: ckpt-not-loaded
# context: fine-tuning from a checkpoint gives the accuracy of a fresh model
import torch
torch.manual_seed(0)
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__(); self.backbone = torch.nn.Linear(8, 8); self.fc = torch.nn.Linear(8, 2)
    def forward(self, x):
        return self.fc(torch.relu(self.backbone(x)))
state = {"model." + k: v for k, v in Net().state_dict().items()}
net = Net()
result = net.load_state_dict(state, strict=False)
print("loaded pretrained weights:", result)
opt = torch.optim.SGD(net.parameters(), 0.01)
x, y = torch.randn(64, 8), torch.randint(0, 2, (64,))
for epoch in range(5):
    loss = torch.nn.functional.cross_entropy(net(x), y)
    opt.zero_grad(); loss.backward(); opt.step()
    print(f"epoch {epoch} loss {loss.item():.4f} acc {(net(x).argmax(1) == y).float().mean():.3f}")
