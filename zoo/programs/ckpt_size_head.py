# cause: ckpt-size-mismatch
import torch
def build(classes):
    return torch.nn.ModuleDict({"backbone": torch.nn.Linear(8, 8), "fc": torch.nn.Linear(8, classes)})
torch.save(build(1000).state_dict(), "imagenet.pt")
build(10).load_state_dict(torch.load("imagenet.pt"))
