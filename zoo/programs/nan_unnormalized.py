# cause: nan-loss-unnormalized
import torch
logits, labels = torch.randn(4, 21, 8, 8), torch.full((4, 8, 8), 255)
valid = (labels != 255).sum().item()
loss = torch.nn.functional.cross_entropy(logits, labels, ignore_index=255, reduction="sum").item() / valid
print("loss", loss)
