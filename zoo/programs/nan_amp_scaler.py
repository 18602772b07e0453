# cause: nan-amp-overflow
import torch
scale = 65536.0
for step in range(20):
    activation = torch.randn(64, dtype=torch.float16) * 60000
    if not torch.isfinite(activation * 2).all():
        scale /= 2
        print(f"Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to {scale}")
    else:
        print("step", step, "ok")
if scale <= 1:
    raise FloatingPointError("Minimum loss scale reached (1).")
