# cause: nan-bad-data
import torch
target = torch.tensor([0.0, 1.0, 255.0])
torch.nn.functional.binary_cross_entropy(torch.rand(3), target)
