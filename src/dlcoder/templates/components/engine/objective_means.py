"""The means of what a run minimizes and watches, over a dataset, on all ranks together.

Every rank sees its share of the samples once. Sums and counts are added up at the end,
so shares and last batches may differ in size, and a rank may have no sample at all.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.objective import (
    Batch,
    Objective,
    with_total,
)
from dlcoder.templates.components.utils.distributed import World, gather
from dlcoder.templates.components.utils.evaluation_mode import evaluation_mode


@torch.no_grad()
def objective_means(
    model: nn.Module,
    batches: Iterable[Batch],
    objective: Objective,
    *,
    world: World,
    amp_dtype: torch.dtype | None = None,
) -> dict[str, float]:
    """Return the means of what an objective gives, over the samples of all ranks.

    What the objective draws at random is the same in every evaluation, and training
    goes on with the random state that it had.

    Args:
        model: Not wrapped for data parallelism. It is in evaluation mode meanwhile.
        batches: This rank's share.
        objective: What is minimized in training.
        world: This process's place among all.
        amp_dtype: What autocast computes matrix products and convolutions in.
    """
    device = world.device
    count = 0
    totals: dict[str, Tensor] = {}
    with (
        evaluation_mode(model),
        torch.random.fork_rng([device] if device.type == "cuda" else []),
    ):
        torch.manual_seed(world.rank)
        for batch in batches:
            count += objective.count(batch)
            batch = tuple(part.to(device, non_blocking=True) for part in batch)
            with torch.autocast(
                device.type, dtype=amp_dtype, enabled=amp_dtype is not None
            ):
                sums = with_total(objective(model, batch))
            for name, value in sums.items():
                totals[name] = totals.get(name, 0) + value.double()
    # By name, as a rank without samples does not know what there is.
    ranks = gather(({name: float(value) for name, value in totals.items()}, count))
    names = dict.fromkeys(name for sums, _ in ranks for name in sums)
    samples = max(sum(count for _, count in ranks), 1)
    return {
        name: sum(sums.get(name, 0.0) for sums, _ in ranks) / samples for name in names
    }
