"""Counts what stays alive between steps, and names the variable that keeps a graph."""

from __future__ import annotations

import gc
from typing import Any

import torch

from .observe import Observer

EVERY = 2
FIRST = 3


class MemoryWatch:
    """Adds the number of live tensors to every second `step` event."""

    def __init__(self, observer: Observer) -> None:
        self.o = observer
        self.named = False

    def install(self) -> None:
        """Count only where the run was asked to."""
        if self.o.options.memory:
            self.o.after_step.append(self._count)

    def _count(self) -> dict[str, Any]:
        if self.o.steps < FIRST or (self.o.steps - FIRST) % EVERY:
            return {}
        with self.o.quiet():
            live = [o for o in gc.get_objects() if isinstance(o, torch.Tensor)]
        return {"tensors": len(live), "tensor_bytes": sum(t.numel() * t.element_size() for t in live)}

    def keepers(self) -> list[str]:
        """Variables up the stack that hold losses with their graphs: lists of them, or a running total."""
        found = []
        for frame in self.o.trace.user_frames(1):
            scopes = [("", frame.f_locals)]
            owner = frame.f_locals.get("self")
            if owner is not None and not isinstance(owner, torch.nn.Module):
                scopes.append(("self.", getattr(owner, "__dict__", {})))
            for prefix, scope in scopes:
                found += [prefix + name for name, value in list(scope.items()) if _keeps_graph(value)]
        return list(dict.fromkeys(found))[:5]


def _keeps_graph(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.grad_fn is not None and value.dim() == 0 and value.grad_fn.name() == "AddBackward0"
    if isinstance(value, dict):
        return any(_keeps_graph(item) for item in list(value.values())[:20])
    if isinstance(value, (list, tuple)) or type(value).__name__ == "deque":
        held = [item for item in value if isinstance(item, torch.Tensor) and item.grad_fn is not None]
        return len(held) > 2 or any(isinstance(i, (list, tuple)) and _keeps_graph(i) for i in list(value)[:3])
    return False
