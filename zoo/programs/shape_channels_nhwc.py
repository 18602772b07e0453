# cause: shape-channels
import numpy as np, torch
net = torch.nn.Conv2d(3, 8, 3)
batch = torch.from_numpy(np.random.rand(2, 48, 64, 3)).float()
net(batch)
