"""Data parallelism: each process computes on its share, and gradients are averaged."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dlcoder.templates.components.utils.distributed import World


def parallelize(
    model: nn.Module,
    world: World,
    *,
    find_unused_parameters: bool = False,
    bucket_cap_mb: int | None = None,
) -> nn.Module:
    """Wrap `model` so that its gradients are averaged over ranks.

    Args:
        model: The model, on its device.
        world: This process's place among all.
        find_unused_parameters: Whether a pass may leave parameters out. Finding which
            costs a walk over its graph.
        bucket_cap_mb: MiB of gradients that travel together, 25 by default: more where
            ranks are far apart, less where the backward pass should hide more of it.
    """
    if world.size == 1:
        return model
    devices = [world.device] if world.device.type == "cuda" else None
    return DistributedDataParallel(
        model,
        device_ids=devices,
        **_options(find_unused_parameters=True) if find_unused_parameters else {},
        **_options(bucket_cap_mb=bucket_cap_mb) if bucket_cap_mb is not None else {},
    )


def _options(**options: Any) -> dict[str, Any]:
    """Arguments, given only where they differ from torch's."""
    return options


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
