# cause: ckpt-weights-only
import argparse, torch
args = argparse.Namespace(lr=0.1, arch="resnet18")
torch.save({"args": args, "model": torch.nn.Linear(2, 2).state_dict()}, "ckpt.pth")
checkpoint = torch.load("ckpt.pth", map_location="cpu")
