"""Watches learning-rate schedulers: how often each is stepped between two optimizer steps."""

from __future__ import annotations

import functools
from typing import Any

import torch

from .observe import Observer


class ScheduleWatch:
    """Writes `scheduler` at construction, and how often each was stepped into every `step` event."""

    def __init__(self, observer: Observer) -> None:
        self.o = observer
        self.depth = 0
        self.known: list[Any] = []
        self.counts: dict[int, int] = {}
        self.sites: dict[int, str] = {}
        observer.after_step.append(self._take)

    def install(self) -> None:
        """Patch every scheduler class of torch."""
        module = torch.optim.lr_scheduler
        for value in list(vars(module).values()):
            if isinstance(value, type) and hasattr(value, "step") and value.__module__ == module.__name__:
                for name, wrap in (("step", self._watched_step), ("__init__", self._watched_init)):
                    if name in vars(value):
                        setattr(value, name, wrap(vars(value)[name]))

    def _watched_init(self, original: Any) -> Any:
        @functools.wraps(original)
        def init(this: Any, *args: Any, **kwargs: Any) -> None:
            self.depth += 1
            try:
                original(this, *args, **kwargs)
            finally:
                self.depth -= 1
            if not self.depth and not any(known is this for known in self.known):
                self.known.append(this)
                inner = [self._index(child) for child in getattr(this, "_schedulers", [])]
                self.o.trace.write(
                    "scheduler",
                    i=len(self.known) - 1,
                    cls=type(this).__name__,
                    site=self.o.trace.site(),
                    inner=inner,
                    horizon=getattr(this, "T_max", None) or getattr(this, "total_steps", None),
                )

        return init

    def _watched_step(self, original: Any) -> Any:
        @functools.wraps(original)
        def step(this: Any, *args: Any, **kwargs: Any) -> Any:
            outermost = not self.depth and not self.o.asleep
            if outermost:
                key = self._index(this)
                self.counts[key] = self.counts.get(key, 0) + 1
                self.sites[key] = self.o.trace.site()
            self.depth += 1
            try:
                return original(this, *args, **kwargs)
            finally:
                self.depth -= 1

        return step

    def _index(self, scheduler: Any) -> int:
        return next((i for i, known in enumerate(self.known) if known is scheduler), -1)

    def _take(self) -> dict[str, Any]:
        counts, self.counts = self.counts, {}
        state = [getattr(s, "last_epoch", None) for s in self.known]
        return {"sched": counts, "sched_state": state}

    def summary(self) -> dict[str, Any]:
        """What is left at the end: the steps after the last optimizer step, and where each scheduler is stepped."""
        return {"sched": self.counts, "sites": self.sites}
