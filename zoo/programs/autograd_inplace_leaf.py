# cause: autograd-inplace
import torch

class Prompt(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = torch.nn.Parameter(torch.randn(4, 16))

    def forward(self, x):
        self.tokens[0] += 1.0
        return (x @ self.tokens.t()).logsumexp(-1).mean()

model = Prompt()
loss = model(torch.randn(2, 16))
loss.backward()
