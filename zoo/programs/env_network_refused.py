# cause: env-auth-network
import torch
torch.hub.load_state_dict_from_url("http://127.0.0.1:9/models/resnet18.pth", model_dir=".")
