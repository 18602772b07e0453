"""Data parallelism: each process computes on its share, and gradients are averaged."""

from contextlib import AbstractContextManager, nullcontext

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dlcoder.templates.components.utils.distributed import World


def parallelize(model: nn.Module, world: World) -> nn.Module:
    """Wrap `model` so that its gradients are averaged over ranks."""
    if world.size == 1:
        return model
    devices = [world.device] if world.device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=devices)


def unwrap(model: nn.Module) -> nn.Module:
    """Return the module that `parallelize` wrapped."""
    return model.module if isinstance(model, DistributedDataParallel) else model


def gradient_sync(model: nn.Module, *, enabled: bool) -> AbstractContextManager[None]:
    """Whether backward passes in this context average gradients over ranks."""
    if enabled or not isinstance(model, DistributedDataParallel):
        return nullcontext()
    return model.no_sync()


def clip_gradients(model: nn.Module, max_norm: float) -> Tensor:
    """Scale the gradient to a norm of at most `max_norm`; return the norm before."""
    return nn.utils.clip_grad_norm_(model.parameters(), max_norm)
