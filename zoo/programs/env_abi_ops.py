# cause: env-abi
import torch
boxes, scores = torch.rand(5, 4), torch.rand(5)
keep = torch.ops.torchvision.nms(boxes, scores, 0.5)
