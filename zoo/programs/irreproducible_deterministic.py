# cause: irreproducible
import torch
torch.use_deterministic_algorithms(True)
memory = torch.zeros(16)
slots, values = torch.randint(0, 16, (8,)), torch.randn(8)
memory.put_(slots, values)
