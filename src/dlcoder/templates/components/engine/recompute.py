"""Activation recomputation: less memory for a third more computation.

Of each repeated block, only the input is kept in the forward pass; the backward pass
runs the block again, with the same random numbers. Memory for activations falls from
that of all layers to that of all blocks' inputs and of one block.

Reference: Chen et al., "Training Deep Nets with Sublinear Memory Cost",
arXiv:1604.06174.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from dlcoder.templates.components.utils.repeated_blocks import repeated_blocks


def recompute_blocks(model: nn.Module) -> nn.Module:
    """Let the blocks of `model` be run again in the backward pass; return it.

    Names of weights, copies of the model, and evaluation stay as they were.

    Raises:
        ValueError: The model has no blocks that repeat.
    """
    blocks = repeated_blocks(model)
    if not blocks:
        raise ValueError(f"{type(model).__name__} has no blocks that repeat.")
    for block in blocks:
        block.forward = partial(_recomputed, block, block.forward)
    return model


def _recomputed(
    block: nn.Module, forward: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    if torch.compiler.is_compiling():
        # Compiled, a block changes its statistics once, however often it is run.
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)
    return checkpoint(
        forward,
        *args,
        use_reentrant=False,
        context_fn=lambda: _contexts(block),
        **kwargs,
    )


def _contexts(
    block: nn.Module,
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """What surrounds the first run of a block, and the second."""
    return nullcontext(), _without_statistics(block)


@contextmanager
def _without_statistics(block: nn.Module) -> Iterator[None]:
    """Keep batch norm from counting the same batch twice."""
    norms = [norm for norm in block.modules() if isinstance(norm, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            if norm.training and norm.num_batches_tracked is not None:
                norm.num_batches_tracked -= 1
