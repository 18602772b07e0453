# cause: device-mismatch
import torch
with torch.device("meta"):
    layer = torch.nn.Linear(16, 4)
layer(torch.randn(2, 16))
