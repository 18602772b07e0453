# cause: autograd-backward-twice
import torch
def train_epoch(encoder, heads, data):
    for x in data:
        features = torch.relu(encoder(x))
        for name, head in heads.items():
            loss = (head(features) ** 2).mean()
            loss.backward()
            print(f"{name}: {loss.item():.3f}")

encoder = torch.nn.Linear(10, 10)
heads = {"seg": torch.nn.Linear(10, 2), "depth": torch.nn.Linear(10, 1)}
train_epoch(encoder, heads, [torch.randn(3, 10) for _ in range(4)])
