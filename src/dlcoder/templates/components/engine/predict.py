"""A model's outputs on a dataset, as every evaluation needs them.

Every rank sees its share of the samples once. There is no communication in between, so
shares and last batches may differ in size.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.utils.distributed import World
from dlcoder.templates.components.utils.evaluation_mode import evaluation_mode


def predict(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    world: World,
    amp_dtype: torch.dtype | None = None,
) -> Iterator[tuple[Any, Batch]]:
    """Yield what the model makes of the first part of each batch, and the batch.

    Args:
        model: Not wrapped for data parallelism. It is in evaluation mode meanwhile.
        batches: This rank's share.
        world: This process's place among all.
        amp_dtype: What autocast computes matrix products and convolutions in.
    """
    device = world.device
    with evaluation_mode(model):
        for batch in batches:
            batch = tuple(part.to(device, non_blocking=True) for part in batch)
            with (
                torch.no_grad(),
                torch.autocast(
                    device.type, dtype=amp_dtype, enabled=amp_dtype is not None
                ),
            ):
                outputs = model(batch[0])
            yield outputs, batch
