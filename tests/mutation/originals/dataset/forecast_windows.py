import numpy as np
import torch
from torch.utils.data import Dataset


class ForecastDataset(Dataset):
    def __init__(self, values: np.ndarray, lookback: int = 12, horizon: int = 4, split="train", train_frac=0.7):
        n = int(len(values) * train_frac)
        mean, std = values[:n].mean(), values[:n].std() + 1e-8
        part = values[:n] if split == "train" else values[n - lookback :]
        self.x = torch.as_tensor((part - mean) / std, dtype=torch.float32)
        self.lookback, self.horizon = lookback, horizon

    def __len__(self):
        return len(self.x) - self.lookback - self.horizon + 1

    def __getitem__(self, i):
        j = i + self.lookback
        return self.x[i:j], self.x[j : j + self.horizon]
