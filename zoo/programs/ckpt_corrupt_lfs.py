# cause: ckpt-corrupt
import torch
open("pytorch_model.bin", "w").write("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 135\n")
state = torch.load("pytorch_model.bin", weights_only=False)
