# cause: api-misuse
import torch
class Trainer:
    def __init__(self, model):
        self.model = model
    def fit(self):
        for step in range(3):
            loss = self.model(torch.randn(2, 4)).sum()
            self.optimizer.zero_grad()
            loss.backward()
Trainer(torch.nn.Linear(4, 1)).fit()
