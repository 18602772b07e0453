"""Watches what ranks do together: process groups, collectives, DDP."""

from __future__ import annotations

import datetime
import functools
from typing import Any

import torch
import torch.distributed as dist

from .observe import Observer

_COLLECTIVES = [
    "all_reduce",
    "all_gather",
    "all_gather_into_tensor",
    "all_gather_object",
    "broadcast",
    "broadcast_object_list",
    "reduce",
    "reduce_scatter",
    "reduce_scatter_tensor",
    "gather",
    "gather_object",
    "scatter",
    "scatter_object_list",
    "all_to_all",
    "all_to_all_single",
    "barrier",
    "monitored_barrier",
]


class RankWatch:
    """Writes `group`, `coll`, `coll_end` and `ddp` events."""

    def __init__(self, observer: Observer) -> None:
        self.o = observer
        self.depth = 0
        self.groups: list[Any] = []

    def install(self) -> None:
        """Patch torch.distributed and DDP."""
        if not dist.is_available():
            return
        for name in _COLLECTIVES:
            if hasattr(dist, name):
                watched = self._collective(getattr(dist, name), name)
                setattr(dist, name, watched)
                setattr(dist.distributed_c10d, name, watched)
        self._wrap_group()
        self._wrap_ddp()

    def _collective(self, original: Any, name: str) -> Any:
        @functools.wraps(original)
        def collective(*args: Any, **kwargs: Any) -> Any:
            if self.depth or self.o.asleep:
                return original(*args, **kwargs)
            self.depth += 1
            shape = next((list(a.shape) for a in args if isinstance(a, torch.Tensor)), None)
            self.o.trace.write("coll", name=name, shape=shape, site=self.o.trace.site())
            try:
                return original(*args, **kwargs)
            finally:
                self.depth -= 1
                self.o.trace.write("coll_end")

        return collective

    def _wrap_group(self) -> None:
        original = dist.init_process_group

        @functools.wraps(original)
        def init(backend: Any = None, *args: Any, **kwargs: Any) -> Any:
            asked = str(backend) if backend is not None else ""
            if not torch.cuda.is_available() and "nccl" in asked:
                backend = "gloo"
                kwargs.pop("device_id", None)
            timeout = kwargs.get("timeout")
            self.o.trace.write(
                "group", backend=asked, used=str(backend), timeout=str(timeout), site=self.o.trace.site()
            )
            kwargs.setdefault("timeout", datetime.timedelta(seconds=120))
            original(backend, *args, **kwargs)
            # Gloo's destructor can wait for ever for ranks that have left: no fault of the program's.
            self.groups.append(dist.group.WORLD)

        dist.init_process_group = init
        dist.distributed_c10d.init_process_group = init

    def _wrap_ddp(self) -> None:
        ddp = torch.nn.parallel.DistributedDataParallel
        original = ddp.__init__

        @functools.wraps(original)
        def init(this: Any, module: Any, *args: Any, **kwargs: Any) -> None:
            site = self.o.trace.site()
            self.o.trace.write("ddp", stage="begin", site=site)
            self.depth += 1
            try:
                original(this, module, *args, **kwargs)
            finally:
                self.depth -= 1
            unused = bool(getattr(this, "find_unused_parameters", False))
            self.o.trace.write("ddp", stage="end", find_unused=unused, site=site)

        setattr(ddp, "__init__", init)  # noqa: B010
