"""Counts where user code waits for the device: `.item()`, `float(t)`, `if t:`, `.cpu()`, `.numpy()`, ..."""

from __future__ import annotations

import sys
from typing import Any

import torch

from .observe import Observer

_METHODS = ("item", "tolist", "numpy", "cpu", "__float__", "__int__", "__bool__", "nonzero")


class SyncWatch:
    """Adds to the observer's counts per line of user code; they go into the next `step` event."""

    def __init__(self, observer: Observer) -> None:
        self.o = observer

    def install(self) -> None:
        """Patch `torch.Tensor`."""
        for name in _METHODS:
            self._wrap(name)

    def _wrap(self, name: str) -> None:
        original = getattr(torch.Tensor, name)
        observer, root = self.o, self.o.trace.root

        def method(this: Any, *args: Any, **kwargs: Any) -> Any:
            if not observer.busy and not observer.in_loader and observer.trace.mine:
                frame = sys._getframe(1)
                if frame.f_code.co_filename.startswith(root):
                    key = f"{frame.f_code.co_filename[len(root) :]}:{frame.f_lineno}"
                    observer.syncs[key] = observer.syncs.get(key, 0) + 1
                    if name in ("item", "__float__"):
                        value = original(this, *args, **kwargs)
                        observer.note_value(key, float(value))
                        return value
            return original(this, *args, **kwargs)

        method.__name__ = name
        setattr(torch.Tensor, name, method)
