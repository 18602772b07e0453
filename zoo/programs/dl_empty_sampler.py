# cause: dl-empty
import pathlib, torch
class Folder(torch.utils.data.Dataset):
    def __init__(self, root):
        self.files = sorted(pathlib.Path(root).glob("*.jpeg"))
    def __len__(self):
        return len(self.files)
    def __getitem__(self, i):
        return self.files[i]
loader = torch.utils.data.DataLoader(Folder("."), batch_size=8, shuffle=True)
