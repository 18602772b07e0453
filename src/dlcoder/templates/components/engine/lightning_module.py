"""A model and its update, as a module of Lightning.

The gradient is that of the mean loss over all samples of a window of micro-batches,

    g = 1 / N  sum over ranks, micro-batches, samples of  d loss / d weights,

with N their true number. Lightning's own `accumulate_grad_batches` would average the
means of micro-batches instead, and weigh a smaller one wrongly. So a batch is a window
here, and the optimization manual.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from dlcoder.templates.components.engine.ema import Ema
from dlcoder.templates.components.engine.objective import (
    Batch,
    Objective,
    refuse_non_finite,
    with_total,
)
from dlcoder.templates.components.engine.oom_backoff import OomBackoff
from dlcoder.templates.components.engine.position import Position
from dlcoder.templates.components.engine.schedule import WarmupSchedule
from dlcoder.templates.components.utils.distributed import sum_over_ranks


class TrainModule(LightningModule):
    """What Lightning's Trainer trains.

    Args:
        model: The model.
        objective: What is minimized.
        optimizer: Takes the step.
        schedule: Sets the learning rate.
        position: How far the run is.
        max_grad_norm: The norm that the gradient is clipped to.
        ema: Follows the weights.
        backoff: Splits batches that do not fit into memory.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        optimizer: Optimizer,
        schedule: WarmupSchedule,
        position: Position,
        *,
        max_grad_norm: float,
        ema: Ema | None = None,
        backoff: OomBackoff | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.objective = objective
        self.optimizer = optimizer
        self.schedule = schedule
        self.position = position
        self.max_grad_norm = max_grad_norm
        self.ema = ema
        self.backoff = backoff
        self.means: dict[str, Tensor] = {}
        self.record: dict[str, float] = {}

    def configure_optimizers(self) -> Optimizer:
        """Return the optimizer. The schedule is stepped here, once an update."""
        return self.optimizer

    def training_step(self, window: Sequence[Batch], index: int) -> None:
        """Update the weights once, from a window of micro-batches.

        Leaves in `record`: `loss_*` and `metric_*`, means over the samples of all
        ranks; `grad_norm`, before clipping; `lr`.

        Raises:
            NonFiniteError: Before the update, on all ranks alike.
        """
        lr = self.schedule.lr
        optimizer = self.optimizers()
        updated = self.update(
            self.model, self.objective, optimizer, self.schedule, window
        )
        if updated and self.ema is not None:
            self.ema.update(self.model)
        self.record["lr"] = lr
        self.position.step += 1
        self.position.batch += len(window)

    def update(
        self,
        model: nn.Module,
        objective: Objective,
        optimizer: Any,
        schedule: WarmupSchedule,
        window: Sequence[Batch],
    ) -> bool:
        """Update the weights of a model; False if the scaler has skipped an overflow.

        Leaves `loss_*`, `metric_*` and `grad_norm` in `record`.
        """
        self.means = self._accumulate_gradients(model, objective, window)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if not math.isfinite(self.record["grad_norm"]):
            return False
        schedule.step()
        return True

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the gradient, which Lightning has unscaled by now, and look at it."""
        groups = optimizer.param_groups
        trained = [parameter for group in groups for parameter in group["params"]]
        norm = self.clip(trained)
        # Here the host waits for the device, once a step.
        values = torch.stack([*self.means.values(), norm.double()]).tolist()
        self.record = dict(zip([*self.means, "grad_norm"], values, strict=True))
        refuse_non_finite(self.record, self._watched())

    def clip(self, parameters: list[nn.Parameter]) -> Tensor:
        """Clip the gradient; return the norm before."""
        return nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)

    def gradient_sync(
        self, model: nn.Module, *, enabled: bool
    ) -> AbstractContextManager[None]:
        """Whether backward passes in this context average gradients over ranks."""
        parallel: Any = self.trainer.model
        if (self.backoff is None and enabled) or self.trainer.world_size == 1:
            return nullcontext()
        context: AbstractContextManager[None] = parallel.no_sync()
        return context

    def _accumulate_gradients(
        self, model: nn.Module, objective: Objective, window: Sequence[Batch]
    ) -> dict[str, Tensor]:
        """Leave the gradient in the weights; return means over the window."""
        # Counted before the first backward pass: every gradient is divided by it.
        count = sum(objective.count(batch) for batch in window)
        samples = sum_over_ranks(torch.tensor(float(count), device=self.device))
        # A window of nothing that counts has a loss of 0, not of 0 / 0.
        samples = samples.clamp(min=1)
        run = partial(self._run, model, objective, samples)
        totals = run(window) if self.backoff is None else self.backoff(run, window)
        means = sum_over_ranks(torch.stack(list(totals.values()))) / samples
        return dict(zip(totals, means, strict=True))

    def _run(
        self,
        model: nn.Module,
        objective: Objective,
        samples: Tensor,
        window: Sequence[Batch],
    ) -> dict[str, Tensor]:
        """Run forward and backward over micro-batches; return this rank's sums."""
        totals: dict[str, Tensor] = {}
        for number, batch in enumerate(window, start=1):
            # Gradients travel between ranks once a window, with the last micro-batch.
            with self.gradient_sync(model, enabled=number == len(window)):
                sums = with_total(objective(model, batch))
                # Data parallelism averages over ranks; times their number, it sums.
                scale = self.trainer.world_size / samples
                self.manual_backward(sums["loss_total"] * scale)
            for name, value in sums.items():
                totals[name] = totals.get(name, 0) + value.detach().double()
        return totals

    def _watched(self) -> list[str]:
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if scaler is not None and scaler.get_scale() >= 1:
            # An overflow is no error while the scaler can still lower its scale.
            return ["loss_total"]
        # Both hold the sums over all ranks: all see the same values, and stop together.
        return ["loss_total", "grad_norm"]
