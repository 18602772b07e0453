"""The processes of one run: who they are, and what they share.

Works alike under torchrun and without it: one plain process is a world of size one,
in which every collective is the identity.
"""

import atexit
import os
import sys
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import torch
from torch import Tensor, distributed, nn

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """One process's place among all processes of the run.

    Attributes:
        rank: Its number over all nodes, from 0.
        size: The number of processes over all nodes.
        device: The device that is its own.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes files."""
        return self.rank == 0


def join_world() -> World:
    """Join the processes that torchrun started, or be alone where it did not.

    Raises:
        RuntimeError: There are more processes than GPUs on this node.
    """
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    if torch.cuda.is_available():
        gpus = torch.cuda.device_count()
        if local_rank >= gpus:
            raise RuntimeError(
                f"Process {local_rank} of this node has no GPU of its own: "
                f"start torchrun with --nproc-per-node {gpus}."
            )
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
        # Gloo beside NCCL: objects such as random states travel between CPUs.
        backend = "cpu:gloo,cuda:nccl"
    else:
        device = torch.device("cpu")
        backend = "gloo"
    if "RANK" not in os.environ:
        return World(rank=0, size=1, device=device)
    distributed.init_process_group(backend)
    return World(distributed.get_rank(), distributed.get_world_size(), device)


def leave_world() -> None:
    """Leave the process group. Not for use after an error: other ranks may be gone."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def end_process(status: int) -> NoReturn:
    """End the program with `status`, as its last act.

    A process that a launcher started does not take the interpreter apart: a thread of
    Gloo or NCCL still awake would abort it, and a finished run would count as failed.
    """
    if "RANK" in os.environ:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """Return the sum of `tensor` over all ranks; the argument is left as it was."""
    if not distributed.is_initialized():
        return tensor
    total = tensor.clone()
    distributed.all_reduce(total)
    return total


def on_any_rank(flag: bool, world: World) -> bool:
    """Whether `flag` is set on any rank: the same answer on all of them."""
    if world.size == 1:
        return flag
    return bool(sum_over_ranks(torch.tensor(int(flag), device=world.device)) > 0)


def from_main(value: T) -> T:
    """Return rank 0's `value` on every rank."""
    if not distributed.is_initialized():
        return value
    box = [value]
    distributed.broadcast_object_list(box, src=0)
    return box[0]


def gather(value: T) -> list[T]:
    """Return every rank's `value`, in the order of the ranks, on every rank."""
    if not distributed.is_initialized():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def share_buffers(module: nn.Module) -> None:
    """Give every rank rank 0's buffers.

    Batch norm's running statistics differ between ranks, each having seen its own
    samples: without this, each rank would evaluate another model than the one saved.
    """
    if distributed.is_initialized():
        for buffer in module.buffers():
            distributed.broadcast(buffer, src=0)
