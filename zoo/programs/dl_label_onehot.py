# cause: dl-label-format
# also: cuda-index-out-of-range
import torch
labels = torch.tensor([1, 2, 3])
onehot = torch.nn.functional.one_hot(labels, num_classes=3)
