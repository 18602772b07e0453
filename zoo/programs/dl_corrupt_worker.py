# cause: dl-corrupt-sample
import pathlib, torch
from PIL import Image
for i in range(4):
    Image.new("RGB", (8, 8)).save(f"{i}.jpg")
pathlib.Path("2.jpg").write_bytes(b"\x00" * 300)
class Photos(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, i):
        return Image.open(f"{i}.jpg").convert("RGB").size
list(torch.utils.data.DataLoader(Photos(), num_workers=1))
