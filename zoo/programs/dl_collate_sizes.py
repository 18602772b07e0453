# cause: dl-collate-shapes
import torch
class Images(torch.utils.data.Dataset):
    sizes = [(224, 224), (224, 224), (224, 180), (224, 224)]
    def __len__(self):
        return 4
    def __getitem__(self, i):
        return torch.zeros(3, *self.sizes[i]), i
for images, labels in torch.utils.data.DataLoader(Images(), batch_size=4):
    print(images.shape)
