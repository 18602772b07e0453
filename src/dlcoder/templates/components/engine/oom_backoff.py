"""Batches in pieces that fit into memory, with the update of whole batches.

Where a window runs out of memory on any rank, all ranks drop their gradients and run it
again, from the same random state, with batches in twice as many pieces. What is
minimized must be a sum over samples, so that pieces add up to their batch. Batch norm,
as with smaller batches, sees the samples of a piece.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.utils.average_gradients import average_gradients
from dlcoder.templates.components.utils.distributed import World, on_any_rank
from dlcoder.templates.components.utils.seeding import get_rng_state, set_rng_state

T = TypeVar("T")


class OomBackoff:
    """Splits batches, further whenever memory runs out, for the rest of the run.

    Args:
        model: What accumulates gradients, not wrapped for data parallelism.
        world: This process's place among all.
    """

    def __init__(self, model: nn.Module, world: World) -> None:
        self.model = model
        self.world = world
        self.pieces = 1

    def __call__(
        self, accumulate: Callable[[list[Batch]], T], window: Sequence[Batch]
    ) -> T:
        """Leave the gradient of the window, averaged over ranks, in the weights.

        Args:
            accumulate: Runs forward and backward passes over micro-batches. It must not
                communicate: other ranks would wait for one that fails.
            window: The batches, with the samples in the first dimension.

        Raises:
            torch.OutOfMemoryError: On all ranks, if on one a single sample is too much.
        """
        random = get_rng_state()
        buffers = [buffer.clone() for buffer in self.model.buffers()]
        while True:
            result = self._try(accumulate, window)
            if not on_any_rank(result is None, self.world) and result is not None:
                average_gradients(self.model)
                return result
            self._split_further(window, failed=result is None)
            set_rng_state(random)
            self._take_back(buffers)

    def state_dict(self) -> dict[str, int]:
        """Return the number of pieces, on which sums depend in their last bits."""
        return {"pieces": self.pieces}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from a state of `state_dict`."""
        self.pieces = state["pieces"]

    def _try(
        self, accumulate: Callable[[list[Batch]], T], window: Sequence[Batch]
    ) -> T | None:
        try:
            return accumulate([part for batch in window for part in self._split(batch)])
        except torch.OutOfMemoryError:
            # Its traceback holds activations: they are free when this block has ended.
            return None

    def _split(self, batch: Batch) -> list[Batch]:
        return list(zip(*(part.chunk(self.pieces) for part in batch), strict=True))

    def _split_further(self, window: Sequence[Batch], *, failed: bool) -> None:
        largest = max(len(batch[0]) for batch in window)
        if on_any_rank(failed and self.pieces >= largest, self.world):
            raise torch.OutOfMemoryError(
                "Not even one sample fits into memory: make the model or the samples "
                "smaller, or recompute activations."
            )
        self.pieces *= 2
        if self.world.is_main:
            warnings.warn(
                f"Out of memory: each batch is split into {self.pieces} from now on.",
                stacklevel=1,
            )

    @torch.no_grad()
    def _take_back(self, buffers: list[Tensor]) -> None:
        """Undo what a failed attempt left behind."""
        for parameter in self.model.parameters():
            parameter.grad = None
        for buffer, before in zip(self.model.buffers(), buffers, strict=True):
            buffer.copy_(before)
        if self.world.device.type == "cuda":
            torch.cuda.empty_cache()
