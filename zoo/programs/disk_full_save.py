# cause: disk-full
import torch
model = torch.nn.Linear(512, 512)
print("saving checkpoint to /dev/full")
torch.save(model.state_dict(), "/dev/full")
