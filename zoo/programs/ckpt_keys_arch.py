# cause: ckpt-key-mismatch
import torch.nn as nn, torch
class V1(nn.Module):
    def __init__(self):
        super().__init__(); self.encoder = nn.Linear(4, 4); self.head = nn.Linear(4, 2)
class V2(nn.Module):
    def __init__(self):
        super().__init__(); self.encoder = nn.Linear(4, 4); self.norm = nn.LayerNorm(4); self.classifier = nn.Linear(4, 2)
torch.save(V1().state_dict(), "v1.pt")
model = V2()
model.load_state_dict(torch.load("v1.pt", map_location="cpu"))
