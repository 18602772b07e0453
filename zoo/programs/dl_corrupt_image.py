# cause: dl-corrupt-sample
import pathlib
from PIL import Image
Image.effect_noise((64, 64), 20).save("0001.png")
raw = pathlib.Path("0001.png").read_bytes()
pathlib.Path("0001.png").write_bytes(raw[: len(raw) // 2])
Image.open("0001.png").convert("RGB").load()
