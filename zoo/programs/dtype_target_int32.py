# cause: dtype-target
import numpy as np, torch
y = torch.from_numpy(np.array([1, 0, 2, 2], dtype=np.int32))
torch.nn.NLLLoss()(torch.log_softmax(torch.randn(4, 3), 1), y)
