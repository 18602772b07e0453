# cause: ckpt-device
import torch
import torch.serialization
original = torch.serialization.location_tag
torch.serialization.location_tag = lambda storage: "cuda:0"
torch.save(torch.nn.Linear(3, 3).state_dict(), "gpu_model.pt")
torch.serialization.location_tag = original
model = torch.nn.Linear(3, 3)
model.load_state_dict(torch.load("gpu_model.pt"))
