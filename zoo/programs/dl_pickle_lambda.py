# cause: dl-pickle
import torch
if __name__ == "__main__":
    data = torch.utils.data.TensorDataset(torch.randn(8, 2))
    loader = torch.utils.data.DataLoader(data, num_workers=1, collate_fn=lambda b: b, multiprocessing_context="spawn")
    for batch in loader:
        print(batch)
