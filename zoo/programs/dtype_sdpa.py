# cause: dtype-mismatch
import torch, torch.nn.functional as F
q = torch.randn(1, 2, 8, 16)
k, v = torch.randn(1, 2, 8, 16, dtype=torch.bfloat16), torch.randn(1, 2, 8, 16, dtype=torch.bfloat16)
F.scaled_dot_product_attention(q, k, v)
