# cause: ckpt-corrupt
import torch
torch.save({"w": torch.randn(100, 100)}, "last.ckpt")
data = open("last.ckpt", "rb").read()
open("last.ckpt", "wb").write(data[: len(data) // 2])
print("resuming from last.ckpt")
torch.load("last.ckpt")
