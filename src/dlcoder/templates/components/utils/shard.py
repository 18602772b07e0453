"""Fully sharded data parallelism (FSDP2): no rank holds a whole model.

Every rank keeps 1 / world_size of each weight, of its gradient, and of what the
optimizer knows of it. The weights of a block are gathered when it runs and given up
after it; their gradients are averaged over ranks, and each rank keeps its share.

For models too large for a GPU. Others train faster with `utils/parallel`, whose
functions these stand for.

Reference: Zhao et al., "PyTorch FSDP: Experiences on Scaling Fully Sharded Data
Parallel", arXiv:2304.11277.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.modules.batchnorm import _BatchNorm

from dlcoder.templates.components.utils.distributed import World
from dlcoder.templates.components.utils.repeated_blocks import repeated_blocks


def parallelize(
    model: nn.Module, world: World, *, dtype: torch.dtype | None = None
) -> nn.Module:
    """Move `model` to its device, sharded block by block; return it.

    It cannot be copied any more, and a forward pass needs all ranks.

    Args:
        model: With the same weights on all ranks.
        world: This process's place among all.
        dtype: What weights are gathered and computed in; shares stay what they are.
    """
    if world.size == 1:
        return model.to(world.device)
    # Batch norm, whose statistics are in float32, takes no weights of another type.
    mixed = not any(isinstance(module, _BatchNorm) for module in model.modules())
    policy = MixedPrecisionPolicy(
        param_dtype=dtype if mixed else None, reduce_dtype=torch.float32
    )
    mesh = init_device_mesh(world.device.type, (world.size,))
    for block in repeated_blocks(model):
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    return model


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


def load_whole(model: nn.Module, sharded: nn.Module) -> nn.Module:
    """Load the weights of `sharded` into a plain `model`, which runs alone; return it.

    To be called by all ranks.
    """
    state = {
        name: value.full_tensor() if isinstance(value, DTensor) else value
        for name, value in sharded.state_dict().items()
    }
    model.load_state_dict(state)
    return model
