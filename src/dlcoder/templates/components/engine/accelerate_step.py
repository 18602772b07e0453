"""One optimizer update, from a window of micro-batches on every rank, by Accelerate.

The gradient is that of the mean loss over all samples of the window,

    g = 1 / N  sum over ranks, micro-batches, samples of  d loss / d weights,

with N their true number. Accelerate's own `gradient_accumulation_steps` would average
the means of micro-batches instead, and weigh a smaller one wrongly: it stays at 1.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
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
from dlcoder.templates.components.utils.distributed import World


class AccelerateStep:
    """The update of a model, called once for each window.

    Args:
        model: The model, not yet prepared by Accelerate.
        objective: What is minimized.
        optimizer: Takes the step.
        schedule: Sets the learning rate.
        accelerator: Wraps, places, casts and scales.
        max_grad_norm: The norm that the gradient is clipped to.
        ema: Follows the weights.
        backoff: Splits batches that do not fit into memory.
        sharded: Whether the model and the average are sharded over ranks already.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        optimizer: Optimizer,
        schedule: WarmupSchedule,
        accelerator: Accelerator,
        *,
        max_grad_norm: float,
        ema: Ema | None = None,
        backoff: OomBackoff | None = None,
        sharded: bool = False,
    ) -> None:
        self.plain_model = model
        if sharded or backoff is not None:
            # Gradients are not for `prepare` to average, which would wrap the model.
            self.model, self.optimizer = model, accelerator.prepare_optimizer(optimizer)
        else:
            self.model, self.optimizer = accelerator.prepare(model, optimizer)
        self.objective = objective
        self.schedule = schedule
        self.accelerator = accelerator
        self.max_grad_norm = max_grad_norm
        self.ema = ema
        self.backoff = backoff
        self.sharded = sharded

    def __call__(self, window: Sequence[Batch]) -> dict[str, float]:
        """Update the weights once.

        Returns:
            `loss_*` and `metric_*`, means over the samples of all ranks; `grad_norm`,
            before clipping.

        Raises:
            NonFiniteError: Before the update, on all ranks alike.
        """
        means = self._accumulate_gradients(window)
        # Where the loss is scaled, this unscales the gradient first.
        norm = self.accelerator.clip_grad_norm_(
            self.model.parameters(), self.max_grad_norm
        )
        if self.sharded and isinstance(norm, DTensor):
            # That of all ranks' shares together.
            norm = norm.full_tensor()

        # Here the host waits for the device, once a step.
        values = torch.stack([*means.values(), norm.double()]).tolist()
        record = dict(zip([*means, "grad_norm"], values, strict=True))
        refuse_non_finite(record, self._watched())

        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.optimizer.step_was_skipped:
            # The scaler has skipped an overflow: there was no update to follow.
            return record
        self.schedule.step()
        if self.ema is not None:
            self.ema.update(self.plain_model)
        return record

    def parts(self) -> dict[str, Stateful]:
        """What has a state, by name, for a checkpoint."""
        scaler = self.accelerator.scaler
        return {
            "model": self.plain_model,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            **({"scaler": scaler} if scaler is not None else {}),
            **({"ema": self.ema} if self.ema is not None else {}),
            **({"backoff": self.backoff} if self.backoff is not None else {}),
        }

    def _accumulate_gradients(self, window: Sequence[Batch]) -> dict[str, Tensor]:
        """Leave the gradient in the weights; return means over the window."""
        accelerator = self.accelerator
        # Counted before the first backward pass: every gradient is divided by it.
        count = sum(self.objective.count(batch) for batch in window)
        local = torch.tensor(float(count), device=accelerator.device)
        # A window of nothing that counts has a loss of 0, not of 0 / 0.
        samples = accelerator.reduce(local, "sum").clamp(min=1)
        run = partial(self._run, samples)
        totals = run(window) if self.backoff is None else self.backoff(run, window)
        stacked = torch.stack(list(totals.values()))
        means = accelerator.reduce(stacked, "sum") / samples
        return dict(zip(totals, means, strict=True))

    def _run(self, samples: Tensor, window: Sequence[Batch]) -> dict[str, Tensor]:
        """Run forward and backward over micro-batches; return this rank's sums."""
        accelerator = self.accelerator
        totals: dict[str, Tensor] = {}
        for number, batch in enumerate(window, start=1):
            # Gradients travel between ranks once a window, with the last micro-batch.
            last = number == len(window)
            with nullcontext() if last else accelerator.no_sync(self.model):
                sums = self._forward(batch)
                # Data parallelism averages over ranks; times their number, it sums.
                scale = accelerator.num_processes / samples
                accelerator.backward(sums["loss_total"] * scale)
            for name, value in sums.items():
                totals[name] = totals.get(name, 0) + value.detach().double()
        return totals

    def _forward(self, batch: Batch) -> dict[str, Tensor]:
        device = self.accelerator.device
        batch = tuple(tensor.to(device, non_blocking=True) for tensor in batch)
        with self.accelerator.autocast():
            return with_total(self.objective(self.model, batch))

    def _watched(self) -> list[str]:
        scaler = self.accelerator.scaler
        if scaler is not None and scaler.get_scale() >= 1:
            # An overflow is no error while the scaler can still lower its scale.
            return ["loss_total"]
        # Both hold the sums over all ranks: all see the same values, and stop together.
        return ["loss_total", "grad_norm"]


def world_of(accelerator: Accelerator) -> World:
    """This process's place among those that Accelerate found."""
    return World(
        rank=accelerator.process_index,
        size=accelerator.num_processes,
        device=accelerator.device,
    )
