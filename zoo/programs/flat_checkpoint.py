# cause: not-learning-bug
# context: encoder does not train
import torch
from torch.utils.checkpoint import checkpoint
encoder, head = torch.nn.Linear(8, 8), torch.nn.Linear(8, 2)
opt = torch.optim.SGD([*encoder.parameters(), *head.parameters()], 0.1)
for step in range(4):
    hidden = checkpoint(encoder, torch.randn(4, 8), use_reentrant=True)
    loss = torch.nn.functional.cross_entropy(head(hidden), torch.randint(0, 2, (4,)))
    opt.zero_grad(); loss.backward(); opt.step()
    print("step", step, "loss", loss.item())
