# cause: oom-leak
# context: GPU memory grows every step
import torch
net = torch.nn.Linear(256, 256)
kept, size = [], 0
for step in range(0, 120, 10):
    out = net(torch.randn(512, 256)).relu()
    kept.append(out)
    size += out.numel() * 4 // 2**10
    print(f"step {step} loss {0.7 - step / 1000:.3f} mem allocated {1200 + size} MiB")
