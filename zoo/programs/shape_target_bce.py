# cause: shape-target
import torch
clf = torch.nn.Linear(20, 1)
loader = [(torch.randn(16, 20), torch.randint(0, 2, (16,)).float())]
for x, y in loader:
    loss = torch.nn.BCEWithLogitsLoss()(clf(x), y)
    loss.backward()
