"""Compilation of a model's passes: fewer and larger kernels, for a minute at the start.

It pays on GPUs, in runs of thousands of steps on samples of one shape, most of all
where a network has many small operations; not in runs of minutes, and not where shapes
vary.
"""

import torch
from torch import nn


def compile_in_place(
    model: nn.Module, *, backend: str, recomputes: bool = False
) -> None:
    """Let torch compile `model` when it is called, unless `backend` is "none".

    It stays the same object: names of weights, copies of it (an average of the weights,
    say) and checkpoints are as without. To be called before data parallelism wraps it.

    Args:
        model: The model.
        backend: "inductor", which needs a C++ compiler on the machine; "aot_eager",
            which finds out whether the model can be compiled, and speeds nothing up.
        recomputes: Whether the backward pass runs blocks of the model again.
    """
    if backend == "none":
        return
    if recomputes:
        # Data parallelism would split the passes at its buckets, but not within blocks.
        torch._dynamo.config.optimize_ddp = False
    # Kernels for each shape: kernels for any would depend on which shape came first,
    # and a resumed run would compute other bits than the whole run.
    model.compile(backend=backend, dynamic=False)
