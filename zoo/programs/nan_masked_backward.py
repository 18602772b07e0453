# cause: nan-all-masked
import torch
x = torch.randn(2, 3, requires_grad=True)
mask = torch.tensor([[False, False, True], [True, True, True]])
with torch.autograd.set_detect_anomaly(True):
    attention = x.masked_fill(mask, float("-inf")).softmax(-1)
    (attention.nan_to_num() * torch.arange(3.0)).sum().backward()
