# cause: autograd-nonscalar
import torch
model = torch.nn.Linear(4, 3)
weights = torch.rand(8)
losses = torch.nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.randint(0, 3, (8,)), reduction="none")
(losses * weights).backward()
