# cause: nan-amp-overflow
import torch
scores = torch.randn(2, 8, 8, dtype=torch.float16)
mask = torch.ones(8, 8).triu(1).bool()
scores = scores.masked_fill(mask, -1e9)
