"""A model that is sharded over ranks (FSDP2), and its update, under Lightning.

The model is sharded before the Trainer gets it, and its optimizer made of the shares.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from dlcoder.templates.components.engine.lightning_module import TrainModule


class ShardedModule(TrainModule):
    """What Lightning's Trainer trains, as `TrainModule`, with a sharded model."""

    def configure_model(self) -> None:
        """Do nothing, where Lightning expects sharding: an optimizer exists already."""

    def gradient_sync(
        self, model: nn.Module, *, enabled: bool
    ) -> AbstractContextManager[None]:
        """Whether backward passes average gradients over ranks, and share them out.

        Until one does, each rank holds its gradients whole.
        """
        if isinstance(model, FSDPModule):
            model.set_requires_gradient_sync(enabled)
        return nullcontext()

    def clip(self, parameters: list[nn.Parameter]) -> Tensor:
        """Clip the gradient; return the norm before, of all ranks' shares together."""
        norm = super().clip(parameters)
        return norm.full_tensor() if isinstance(norm, DTensor) else norm


class ShardedStrategy(ModelParallelStrategy):
    """Lightning's strategy, without states of its own in checkpoints.

    `ExactResume` has whole ones: they would be gathered and written twice.

    Args:
        size: The number of ranks.
    """

    def __init__(self, size: int) -> None:
        super().__init__(
            data_parallel_size=size,
            tensor_parallel_size=1,
            save_distributed_checkpoint=False,
        )

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def load_checkpoint(
        self, checkpoint_path: Any, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint, for `ExactResume` to share out."""
        checkpoint: dict[str, Any] = torch.load(
            checkpoint_path, map_location="cpu", weights_only=weights_only, mmap=True
        )
        return checkpoint
