# cause: cuda-unavailable
import torch
model = torch.nn.Linear(4, 4).cuda()
