# cause: api-misuse
import torch
dataset = torch.utils.data.TensorDataset(torch.randn(8, 4), torch.randint(0, 2, (8,)), torch.arange(8))
for images, targets in torch.utils.data.DataLoader(dataset, batch_size=4):
    print(images.shape)
