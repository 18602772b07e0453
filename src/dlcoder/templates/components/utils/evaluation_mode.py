"""A model as it is evaluated, for as long as that takes."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from dlcoder.templates.components.utils.distributed import share_buffers


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put `model` into evaluation mode, with rank 0's buffers on every rank.

    Afterwards each part is in its own mode again, whatever happens: one that is frozen,
    and kept from training, is not woken up. To be entered by all ranks.

    Args:
        model: Not wrapped for data parallelism.
    """
    share_buffers(model)
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
