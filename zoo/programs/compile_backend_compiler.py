# cause: compile-backend
# env: CXX=/nonexistent/g++
import torch
@torch.compile
def f(x):
    return (x.sin() + 1).relu()
f(torch.randn(8))
