# cause: compile-graph
import torch
def forward(x):
    n = x.max().int().item()
    torch._dynamo.graph_break()
    return torch.zeros(n) + x.sum()
torch.compile(forward, fullgraph=True, backend="eager")(torch.rand(3) * 5)
