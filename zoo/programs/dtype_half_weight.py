# cause: dtype-mismatch
import torch
unet = torch.nn.Sequential(torch.nn.Conv2d(4, 8, 3, padding=1), torch.nn.SiLU(), torch.nn.Conv2d(8, 4, 3, padding=1)).bfloat16()
latents = torch.randn(1, 4, 16, 16)
print("unet dtype:", next(unet.parameters()).dtype)
noise_pred = unet(latents)
