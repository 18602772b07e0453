# cause: ckpt-key-mismatch
import torch
net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
torch.save({"module." + k: v for k, v in net.state_dict().items()}, "model.pth")
net.load_state_dict(torch.load("model.pth"))
