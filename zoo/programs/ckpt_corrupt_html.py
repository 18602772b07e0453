# cause: ckpt-corrupt
import torch
open("weights.pth", "w").write("<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head></html>")
torch.load("weights.pth", map_location="cpu")
