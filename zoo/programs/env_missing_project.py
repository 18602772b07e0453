# cause: env-missing-module
from mymodels.backbones import build_backbone
model = build_backbone("resnet50")
