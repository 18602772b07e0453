"""Data parallelism in which ranks meet after the backward passes, not within them.

`DistributedDataParallel` sends gradients during the backward pass: a rank that runs out
of memory there leaves the others waiting. Here they travel when every rank has its own,
which does not overlap with computation. The functions are those of `utils/parallel`.
"""

from contextlib import AbstractContextManager, nullcontext

from torch import Tensor, distributed, nn

from dlcoder.templates.components.utils.distributed import World


def parallelize(model: nn.Module, world: World) -> nn.Module:
    """Give every rank the weights of rank 0; return `model`, wrapped in nothing."""
    if world.size > 1:
        for tensor in model.state_dict().values():
            distributed.broadcast(tensor, src=0)
    return model


def unwrap(model: nn.Module) -> nn.Module:
    """Return `model`, which is wrapped in nothing."""
    return model


def gradient_sync(model: nn.Module, *, enabled: bool) -> AbstractContextManager[None]:
    """No backward pass sends gradients: they are averaged after the last."""
    return nullcontext()


def clip_gradients(model: nn.Module, max_norm: float) -> Tensor:
    """Scale the gradient to a norm of at most `max_norm`; return the norm before."""
    return nn.utils.clip_grad_norm_(model.parameters(), max_norm)
