"""One optimizer update, from a window of micro-batches on every rank.

The gradient is that of the mean loss over all samples of the window,

    g = 1 / N  sum over ranks, micro-batches, samples of  d loss / d weights,

with N their true number. Accumulation and data parallelism thus change the speed, not
the mathematics, and the smaller window at the end of an epoch weighs what it should.
"""

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from dlcoder.templates.components.engine.ema import Ema
from dlcoder.templates.components.engine.objective import (
    Batch,
    Objective,
    refuse_non_finite,
    with_total,
)
from dlcoder.templates.components.engine.oom_backoff import OomBackoff
from dlcoder.templates.components.engine.run_state import Stateful
from dlcoder.templates.components.engine.schedule import WarmupSchedule
from dlcoder.templates.components.utils.distributed import World, sum_over_ranks
from dlcoder.templates.components.utils.parallel import (
    clip_gradients,
    gradient_sync,
    unwrap,
)


class TrainStep:
    """The update of a model, called once for each window.

    Args:
        model: The model, wrapped for data parallelism where there are several ranks.
        objective: What is minimized.
        optimizer: Takes the step.
        schedule: Sets the learning rate.
        world: This process's place among all.
        max_grad_norm: The norm that the gradient is clipped to.
        amp_dtype: What autocast computes matrix products and convolutions in.
        scaler: Scales the loss, so that small gradients do not vanish in float16.
        ema: Follows the weights.
        backoff: Splits batches that do not fit into memory. The model is not wrapped.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        optimizer: Optimizer,
        schedule: WarmupSchedule,
        world: World,
        *,
        max_grad_norm: float,
        amp_dtype: torch.dtype | None = None,
        scaler: GradScaler | None = None,
        ema: Ema | None = None,
        backoff: OomBackoff | None = None,
    ) -> None:
        self.model = model
        self.objective = objective
        self.optimizer = optimizer
        self.schedule = schedule
        self.world = world
        self.max_grad_norm = max_grad_norm
        self.amp_dtype = amp_dtype
        self.scaler = scaler
        self.ema = ema
        self.backoff = backoff

    def __call__(self, window: Sequence[Batch]) -> dict[str, float]:
        """Update the weights once.

        Returns:
            `loss_*` and `metric_*`, means over the samples of all ranks; `grad_norm`,
            before clipping.

        Raises:
            NonFiniteError: Before the update, on all ranks alike.
        """
        means = self._accumulate_gradients(window)
        if self.scaler is not None:
            # Clipping must see the true gradients, not those of the scaled loss.
            self.scaler.unscale_(self.optimizer)
        norm = clip_gradients(self.model, self.max_grad_norm)

        # Here the host waits for the device, once a step.
        values = torch.stack([*means.values(), norm.double()]).tolist()
        record = dict(zip([*means, "grad_norm"], values, strict=True))
        self._refuse_non_finite(record)

        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.scaler is not None and not math.isfinite(record["grad_norm"]):
            # The scaler has skipped an overflow: there was no update to follow.
            return record
        self.schedule.step()
        if self.ema is not None:
            self.ema.update(unwrap(self.model))
        return record

    def parts(self) -> dict[str, Stateful]:
        """What has a state, by name, for a checkpoint."""
        return {
            "model": unwrap(self.model),
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            **({"scaler": self.scaler} if self.scaler is not None else {}),
            **({"ema": self.ema} if self.ema is not None else {}),
            **({"backoff": self.backoff} if self.backoff is not None else {}),
        }

    def _accumulate_gradients(self, window: Sequence[Batch]) -> dict[str, Tensor]:
        """Leave the gradient in the weights; return means over the window."""
        device = self.world.device
        # Counted before the first backward pass: every gradient is divided by it.
        count = sum(self.objective.count(batch) for batch in window)
        samples = sum_over_ranks(torch.tensor(float(count), device=device))
        # A window of nothing that counts has a loss of 0, not of 0 / 0.
        samples = samples.clamp(min=1)
        if self.backoff is None:
            totals = self._run(window, samples)
        else:
            totals = self.backoff(partial(self._run, samples=samples), window)
        means = sum_over_ranks(torch.stack(list(totals.values()))) / samples
        return dict(zip(totals, means, strict=True))

    def _run(self, window: Sequence[Batch], samples: Tensor) -> dict[str, Tensor]:
        """Run forward and backward over micro-batches; return this rank's sums."""
        totals: dict[str, Tensor] = {}
        for number, batch in enumerate(window, start=1):
            # Gradients travel between ranks once a window, not with each micro-batch.
            with gradient_sync(self.model, enabled=number == len(window)):
                sums = self._forward(batch)
                # Data parallelism averages over ranks; times their number, it sums.
                loss = sums["loss_total"] * (self.world.size / samples)
                if self.scaler is not None:
                    loss = self.scaler.scale(loss)
                loss.backward()
            for name, value in sums.items():
                totals[name] = totals.get(name, 0) + value.detach().double()
        return totals

    def _forward(self, batch: Batch) -> dict[str, Tensor]:
        device = self.world.device
        batch = tuple(tensor.to(device, non_blocking=True) for tensor in batch)
        with torch.autocast(
            device.type, dtype=self.amp_dtype, enabled=self.amp_dtype is not None
        ):
            return with_total(self.objective(self.model, batch))

    def _refuse_non_finite(self, record: dict[str, float]) -> None:
        # Loss and norm hold the sums over all ranks already, so all ranks see the same
        # values: they stop together, and none is left waiting for another.
        watched = ["loss_total", "grad_norm"]
        if self.scaler is not None and self.scaler.get_scale() >= 1:
            # An overflow is no error while the scaler can still lower its scale.
            watched.remove("grad_norm")
        refuse_non_finite(record, watched)
