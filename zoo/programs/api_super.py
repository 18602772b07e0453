# cause: api-misuse
import torch.nn as nn
class Net(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(3, 3)
net = Net()
