# cause: shape-matmul
import torch.nn as nn, torch
class SmallCNN(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU())
        self.fc = nn.Linear(32 * 8 * 8, classes)
    def forward(self, x):
        return self.fc(self.features(x).flatten(1))
model = SmallCNN()
print(model)
logits = model(torch.randn(4, 3, 64, 64))
