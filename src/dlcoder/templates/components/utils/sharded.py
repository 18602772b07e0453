"""What `utils/parallel` does for replicas, for what `utils/shard` has sharded."""

from contextlib import AbstractContextManager, nullcontext

from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor


def unwrap(model: nn.Module) -> nn.Module:
    """Return `model`: it was sharded in place, and is wrapped in nothing."""
    return model


def gradient_sync(model: nn.Module, *, enabled: bool) -> AbstractContextManager[None]:
    """Whether backward passes average gradients over ranks, and share them out.

    Until one does, each rank holds its gradients whole.
    """
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(enabled)
    return nullcontext()


def clip_gradients(model: nn.Module, max_norm: float) -> Tensor:
    """Scale the gradient to a norm of at most `max_norm`; return the norm before."""
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    # That of all ranks' shares together.
    return norm.full_tensor() if isinstance(norm, DTensor) else norm
