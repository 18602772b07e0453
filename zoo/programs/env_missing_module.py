# cause: env-missing-module
import torch
from xformers.ops import memory_efficient_attention
