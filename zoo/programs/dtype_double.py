# cause: dtype-mismatch
import numpy as np, torch
features = np.random.randn(100, 13)
reg = torch.nn.Linear(13, 1)
pred = reg(torch.from_numpy(features[:10]))
