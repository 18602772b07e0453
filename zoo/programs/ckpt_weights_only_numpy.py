# cause: ckpt-weights-only
import numpy as np, torch
torch.save({"epoch": 4, "best": np.float64(0.93)}, "best.pt")
print("loading best.pt")
state = torch.load("best.pt")
