"""Compilation of a model that will be sharded: of its blocks, one by one.

Sharding gathers a block's weights just before the block runs and gives them up after
it. Compiled as a whole, a model would be cut apart there; its blocks are compiled
whole, and those that are alike are compiled once.
"""

import torch
from torch import nn

from dlcoder.templates.components.utils.repeated_blocks import repeated_blocks


def compile_blocks(model: nn.Module, *, backend: str) -> None:
    """Let torch compile the blocks of `model` when they run, unless told "none".

    They stay the same objects: names of weights and checkpoints are as without. To be
    called before sharding, and after copies were made that shall not be compiled.

    Args:
        model: The model.
        backend: "inductor", which needs a C++ compiler on the machine; "aot_eager",
            which finds out whether the model can be compiled, and speeds nothing up.
    """
    if backend == "none":
        return
    blocks = repeated_blocks(model)
    # All blocks share the limit of one function: each that is unlike others needs room.
    config = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, 8 * len(blocks))
    for block in blocks:
        # Kernels for each shape: kernels for any would depend on which came first, and
        # a resumed run would compute other bits than the whole run.
        block.compile(backend=backend, dynamic=False)
