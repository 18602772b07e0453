# cause: cuda-unavailable
import torch
device = torch.device("cuda:0")
print("using", device)
x = torch.zeros(2, 2, device=device)
