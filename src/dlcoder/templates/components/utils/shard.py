"""Fully sharded data parallelism (FSDP2): no rank holds a whole model.

Every rank keeps 1 / world_size of each weight, of its gradient, and of what the
optimizer knows of it. The weights of a block are gathered when it runs and given up
after it; their gradients are averaged over ranks, and each rank keeps its share.

For models too large for a GPU. Others train faster with `utils/parallel`.

Reference: Zhao et al., "PyTorch FSDP: Experiences on Scaling Fully Sharded Data
Parallel", arXiv:2304.11277.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
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


@contextmanager
def gathered(model: nn.Module) -> Iterator[None]:
    """Let each rank run `model` alone, as often as it likes: for evaluation.

    To be entered by all ranks. Within, each holds the weights whole: gathered for each
    batch instead, ranks with fewer batches would leave the others waiting.
    """
    parts = [part for part in model.modules() if isinstance(part, FSDPModule)]
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    yield
    for part in parts:
        # The outermost part stays whole until its backward pass, which is next.
        part.set_reshard_after_forward(part is not model, recurse=False)
        part.reshard()
