# cause: dl-corrupt-sample
# ranks: 3
# culprit: 1
import datetime, pathlib, torch, torch.distributed as dist
from PIL import Image
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=20))
rank = dist.get_rank()
for i in range(4):
    name = f"r{rank}_{i}.jpg"
    Image.new("RGB", (16, 16)).save(name)
    if (rank, i) == (1, 2):
        pathlib.Path(name).write_bytes(b"\xff\xd8\xff" + bytes(40))
    width = torch.tensor(float(Image.open(name).convert("RGB").width))
    dist.all_reduce(width)
    print(f"[{rank}] batch {i} loss {width.item() / 48:.2f}", flush=True)
