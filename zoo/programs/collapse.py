# cause: representation-collapse
# context: contrastive training, all embeddings are the same
import torch
torch.manual_seed(0)
net = torch.nn.Linear(16, 8)
with torch.no_grad():
    net.weight.mul_(1e-4)
for step in range(6):
    z = torch.nn.functional.normalize(net(torch.randn(32, 16)), dim=1)
    loss = torch.nn.functional.cross_entropy(z @ z.t() * 0.01, torch.arange(32))
    print(f"step {step} loss {loss.item():.4f} (ln 32 = 3.4657) embedding std {z.std(0).mean().item():.6f}")
