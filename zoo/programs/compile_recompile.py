# cause: compile-recompile
import torch
torch._dynamo.config.recompile_limit = 3
@torch.compile(backend="eager", dynamic=False)
def norm(x):
    return x / x.norm()
for length in range(2, 9):
    norm(torch.randn(length))
    print("length", length)
