"""Gradients averaged over ranks when every rank has its own."""

import torch
from torch import distributed, nn


def average_gradients(model: nn.Module) -> None:
    """Give every rank the mean of all ranks' gradients. To be called by all ranks."""
    if not distributed.is_initialized():
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    # One by one: there may be no memory for a copy of them all.
    for gradient in gradients:
        distributed.all_reduce(gradient)
    torch._foreach_div_(gradients, distributed.get_world_size())
