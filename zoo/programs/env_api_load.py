# cause: env-api-removed
import torch
from torch.utils.data.dataloader import _use_shared_memory
