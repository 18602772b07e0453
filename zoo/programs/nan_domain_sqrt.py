# cause: nan-domain-op
import torch
embedding = torch.nn.Linear(4, 4, bias=False)
a = torch.randn(6, 4)
b = a.clone()
with torch.autograd.set_detect_anomaly(True):
    distance = ((embedding(a) - embedding(b)) ** 2).sum(1).sqrt()
    loss = distance.mean()
    print("loss", loss.item())
    loss.backward()
