# cause: nan-all-masked
import torch
logits = torch.randn(2, 6)
mask = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]]).bool()
probs = logits.masked_fill(mask, float("-inf")).softmax(-1)
print(probs)
torch.multinomial(probs, 1)
