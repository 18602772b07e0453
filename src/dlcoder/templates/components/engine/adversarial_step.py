"""One update of a GAN: the discriminator's, then the generator's, on the same window.

Each is an update like that of any other model, with its own optimizer, schedule, loss
scale, and limit of the gradient.
"""

from collections.abc import Sequence
from typing import Protocol

from dlcoder.templates.components.engine.adversarial import both
from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.engine.run_state import Stateful
from dlcoder.templates.components.engine.schedule import WarmupSchedule


class Update(Protocol):
    """An update of one network, called once for each window."""

    @property
    def schedule(self) -> WarmupSchedule:
        """Sets the learning rate."""

    def __call__(self, window: Sequence[Batch], /) -> dict[str, float]:
        """Update the weights once; return `loss_*` and `grad_norm`."""

    def parts(self) -> dict[str, Stateful]:
        """What has a state, by name."""


class AdversarialStep:
    """The update of both networks, called once for each window.

    Args:
        discriminator: Its update.
        generator: Its update.
    """

    def __init__(self, *, discriminator: Update, generator: Update) -> None:
        self.discriminator = discriminator
        self.generator = generator

    @property
    def schedule(self) -> WarmupSchedule:
        """Sets the learning rate of the generator."""
        return self.generator.schedule

    def __call__(self, window: Sequence[Batch]) -> dict[str, float]:
        """Update both once.

        Returns:
            As `both`.

        Raises:
            NonFiniteError: Before the update of the network that it is about.
        """
        return both(self.discriminator(window), self.generator(window))

    def parts(self) -> dict[str, Stateful]:
        """What has a state, by name, for a checkpoint: the model is the generator."""
        opponent = self.discriminator.parts().items()
        return {
            **self.generator.parts(),
            **{f"discriminator_{name}": part for name, part in opponent},
        }
