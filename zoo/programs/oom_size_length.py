# cause: oom-size-bug
import torch
lengths = torch.tensor([120, 87, 1_700_000_000_123])
print("batch lengths", lengths.tolist())
mask = torch.zeros(len(lengths), int(lengths.max()), dtype=torch.bool)
