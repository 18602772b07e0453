# cause: autograd-no-grad
import torch
backbone = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.GELU(), torch.nn.Linear(32, 4))
for parameter in backbone.parameters():
    parameter.requires_grad = False
criterion = torch.nn.CrossEntropyLoss()
for epoch in range(2):
    loss = criterion(backbone(torch.randn(8, 16)), torch.randint(0, 4, (8,)))
    print("Epoch", epoch, "train loss", loss.item())
    loss.backward()
