# cause: autograd-backward-twice
import torch
from torch import nn
lstm, head = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 4)
params = [*lstm.parameters(), *head.parameters()]
opt = torch.optim.Adam(params, 1e-3)
hidden = (torch.zeros(1, 2, 16), torch.zeros(1, 2, 16))
for it in range(10):
    out, hidden = lstm(torch.randn(2, 5, 8), hidden)
    loss = nn.functional.cross_entropy(head(out).flatten(0, 1), torch.randint(0, 4, (10,)))
    opt.zero_grad()
    loss.backward()
    opt.step()
    print("iter", it, "loss", float(loss))
