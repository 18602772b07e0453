# cause: dtype-target
import torch
labels = torch.tensor([0.0, 2.0, 1.0])
logits = torch.nn.Linear(4, 3)(torch.randn(3, 4))
loss = torch.nn.functional.cross_entropy(logits, labels)
