"""How much memory a project's training step needs, counted before any GPU is asked for."""

import json
import math
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from dlcoder.errors import UserError
from dlcoder.scaffold.choices import Choices

GB = 1e9
CUDA_GB = 0.8
"""What a process on a GPU needs besides tensors: the context, the libraries' workspaces."""
FRAGMENTATION = 1.1
"""What the allocator holds, over what tensors use."""
_OF_SHAPE = {"batch_size", "image_size", "local_size", "local_crops", "workers", "length"}
"""Settings of data that decide how large a batch is: the smoke run's values must not count."""


class Memory(BaseModel):
    """The memory of one process's training step, in GB of 10^9 bytes."""

    batch_size: int
    total: float = Field(description="What to reckon with on a GPU, its own needs included.")
    weights: float
    gradients: float
    optimizer: float
    average: float = Field(description="The averaged weights.")
    activations: float = Field(description="What grows with the batch.")
    sharded: bool = Field(default=False, description="Whether several GPUs share all but the activations.")

    def text(self) -> str:
        """One line for a reader."""
        parts = {"activations": self.activations, "weights": self.weights, "gradients": self.gradients}
        parts |= {"optimizer": self.optimizer, "averaged weights": self.average}
        told = ", ".join(f"{name} {_gb(value)}" for name, value in parts.items() if value)
        shared = " Several GPUs share all but the activations." if self.sharded else ""
        return f"Memory on a GPU: about {_gb(self.total)} with batches of {self.batch_size} ({told}).{shared}"

    def largest_batch(self, gpu_gb: float) -> int:
        """The largest batch that fits into a GPU, or into each of many that share the rest; 0 if none does."""
        fixed = 0.0 if self.sharded else self.weights + self.gradients + self.optimizer + self.average
        left = (gpu_gb - CUDA_GB) / FRAGMENTATION - fixed
        return max(0, math.floor(left / (self.activations / self.batch_size)))


def _gb(value: float) -> str:
    return f"{value:.1f} GB" if value >= 0.95 else f"{value * 1000:.0f} MB"


async def estimate(root: Path, choices: Choices, smoke: dict[str, Any]) -> Memory | None:
    """Count what a step of the project at its default settings needs; None where it cannot be counted.

    Args:
        root: The project.
        choices: What was decided for it.
        smoke: The smoke run's values of the settings below `data`: they lead to data that exist.
    """
    from dlcoder.sandbox.interpreters import find_interpreter
    from dlcoder.sandbox.runner import Job, Limits, run

    probe = Path(__file__).with_name("memory_probe.py")
    request = {
        "package": choices.package,
        "batch_size": choices.batch_size,
        "precision": choices.precision,
        "ema": choices.ema,
        "optimizer": choices.optimizer,
        "data": {name: value for name, value in smoke.items() if name not in _OF_SHAPE},
    }
    job = Job(
        ("python", str(probe), json.dumps(request)),
        workdir=root,
        read_only=(probe.parent,),
        limits=Limits(timeout_s=60),
        warm=True,
        collect=False,
    )
    outcome = await run(job, await find_interpreter(None, root))
    try:
        counted = {name: float(value) / GB for name, value in json.loads(outcome.output.splitlines()[-1]).items()}
        total = counted.pop("peak") * FRAGMENTATION + CUDA_GB
        return Memory(batch_size=choices.batch_size, total=total, sharded=choices.strategy == "fsdp", **counted)
    except (ValueError, KeyError, IndexError, AttributeError, TypeError):
        return None


def refuse_too_large(memory: Memory, gpu_gb: float, accumulation: int) -> None:
    """Refuse a batch that does not fit into the GPU that was named.

    Raises:
        UserError: It does not; the message names the batch that does, and how to keep the global batch.
    """
    if memory.total <= gpu_gb:
        return
    fits = memory.largest_batch(gpu_gb)
    if memory.sharded and fits >= memory.batch_size:
        return
    if fits < 1:
        raise UserError(f"{memory.text()} That does not fit into {gpu_gb:g} GB.", "Choose a smaller model.size.")
    batch = 2 ** math.floor(math.log2(fits)) if fits < memory.batch_size else fits
    windows = accumulation * math.ceil(memory.batch_size / batch)
    raise UserError(
        f"{memory.text()} That does not fit into {gpu_gb:g} GB.",
        f"Set train.batch_size to {batch} and train.accumulation to {windows}: the updates stay the same.",
    )
