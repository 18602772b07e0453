# cause: autograd-no-grad
import torch, torch.nn.functional as F
model = torch.nn.Linear(16, 5)
def dice(logits, target):
    pred = F.one_hot(logits.argmax(1), 5).float()
    return 1 - (2 * (pred * target).sum() / (pred.sum() + target.sum()))
loss = dice(model(torch.randn(6, 16)), F.one_hot(torch.randint(0, 5, (6,)), 5).float())
print("dice loss:", loss)
loss.backward()
