"""One update of a GAN, from a window of micro-batches on every rank, by Lightning.

The discriminator's, then the generator's, each with its own optimizer and schedule, as
in `adversarial_step`. Under float16, Lightning has one loss scale for both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from dlcoder.templates.components.engine.adversarial import both
from dlcoder.templates.components.engine.ema import Ema
from dlcoder.templates.components.engine.lightning_module import TrainModule
from dlcoder.templates.components.engine.objective import Batch, Objective
from dlcoder.templates.components.engine.position import Position
from dlcoder.templates.components.engine.schedule import WarmupSchedule


@dataclass(frozen=True)
class Player:
    """A network of two.

    Attributes:
        model: The network.
        objective: What it minimizes.
        optimizer: Takes the step.
        schedule: Sets the learning rate.
    """

    model: nn.Module
    objective: Objective
    optimizer: Optimizer
    schedule: WarmupSchedule


class AdversarialModule(TrainModule):
    """What Lightning's Trainer trains: `model` is the generator.

    Args:
        discriminator: It, and what its update needs.
        generator: It, and what its update needs.
        position: How far the run is.
        max_grad_norm: The norm that each gradient is clipped to.
        ema: Follows the weights of the generator.
    """

    def __init__(
        self,
        discriminator: Player,
        generator: Player,
        position: Position,
        *,
        max_grad_norm: float,
        ema: Ema | None = None,
    ) -> None:
        super().__init__(
            generator.model,
            generator.objective,
            generator.optimizer,
            generator.schedule,
            position,
            max_grad_norm=max_grad_norm,
        )
        self.ema = ema
        self.discriminator = discriminator.model
        self.players = (discriminator, generator)

    def configure_optimizers(self) -> Any:
        """Return both optimizers."""
        return [player.optimizer for player in self.players]

    def training_step(self, window: Sequence[Batch], index: int) -> None:
        """Update both networks once, from a window of micro-batches.

        Leaves in `record` what `both` returns, and the generator's `lr`.

        Raises:
            NonFiniteError: Before the update of the network that it is about.
        """
        lr = self.schedule.lr
        records = []
        optimizers: Any = self.optimizers()
        for player, optimizer in zip(self.players, optimizers, strict=True):
            # Autocast keeps casts of weights to the end of the step. Those of a network
            # that has just been an opponent, or was updated, must not be used again.
            torch.clear_autocast_cache()
            self.update(
                player.model, player.objective, optimizer, player.schedule, window
            )
            records.append(self.record)
        self.record = {**both(*records), "lr": lr}
        self.position.step += 1
        self.position.batch += len(window)
        if self.ema is not None and math.isfinite(self.record["grad_norm"]):
            self.ema.update(self.model)
