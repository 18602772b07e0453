# cause: cuda-index-out-of-range
import torch
head = torch.nn.Linear(8, 10)
labels = torch.tensor([1, 5, 10, 3])
loss = torch.nn.functional.cross_entropy(head(torch.randn(4, 8)), labels)
