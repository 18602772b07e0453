"""The state that all watchers share: which step it is, what is known of the model, and what was asked of this run."""

from __future__ import annotations

import contextlib
import os
import random
import sys
import weakref
from collections.abc import Iterator
from typing import Any, Callable

import torch

from .trace import Trace, digest

_leave = os._exit
MODE_LAYERS = (torch.nn.modules.dropout._DropoutNd, torch.nn.modules.batchnorm._NormBase)
"""Layers that behave differently in training and in evaluation."""


class Options:
    """What this run is for; everything off is a plain run.

    Attributes:
        stop_after: Optimizer steps after which the run has shown enough; 0 lets it end by itself.
        same_batch: Whether every step sees the first batch again, with the same random numbers.
        hold_path: Where that batch is kept: the first run writes it, later ones read it.
        stretch: Whether an epoch then lasts as long as the run needs.
        no_dropout: Whether dropout is switched off.
        hold_lr: Whether the learning rate stays at its highest declared value.
        lr_factor: How many times that value is used.
        nan_at: The training forward pass (from 1) whose output becomes NaN; 0 for none.
        crash_at: The optimizer step (from 1) in which rank `crash_rank` raises; 0 for none.
        kill_after: How many steps after the checkpoint number `kill_save` was written the process is killed; 0: never.
        tear_save: The checkpoint (from 1) in the middle of whose writing the process is killed; 0 for none.
        term_at: The optimizer step (from 1) after which a process that handles SIGTERM gets one; 0 for none.
        shrink: How many samples every data set is made shorter by.
        undo: Whether every update is taken back, so that all steps start from the same weights.
        defaults: Other defaults of data classes: "Class.field" to value.
        project: Whether gradients are reduced to a few random projections, to be compared across runs and ranks.
        local: Whether each rank's own gradients are projected too, before they are synchronized.
        scatter: Whether random states start different in every run, so that a missing seed shows.
        losses: Whether scalars returned by user functions are followed to the backward pass.
        memory: Whether live tensors are counted.
        probe: Whether evaluation data is drawn a second time for comparison.
        below: The share of the first loss at which a run on one batch has learnt enough.
        unlike: What an earlier run showed, as a file; this run ends as soon as it shows something else.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self.stop_after = int(values.get("stop_after", 0))
        self.same_batch = bool(values.get("same_batch"))
        self.hold_path = str(values.get("hold_path", ""))
        self.stretch = bool(values.get("stretch"))
        self.no_dropout = bool(values.get("no_dropout"))
        self.hold_lr = bool(values.get("hold_lr"))
        self.lr_factor = float(values.get("lr_factor", 1.0))
        self.nan_at = int(values.get("nan_at", 0))
        self.crash_at = int(values.get("crash_at", 0))
        self.crash_rank = int(values.get("crash_rank", 1))
        self.kill_after = int(values.get("kill_after", 0))
        self.kill_save = int(values.get("kill_save", 1))
        self.tear_save = int(values.get("tear_save", 0))
        self.term_at = int(values.get("term_at", 0))
        self.shrink = int(values.get("shrink", 0))
        self.undo = bool(values.get("undo"))
        self.defaults: dict[str, Any] = dict(values.get("defaults", {}))
        self.project = bool(values.get("project"))
        self.local = bool(values.get("local"))
        self.scatter = bool(values.get("scatter"))
        self.losses = bool(values.get("losses"))
        self.memory = bool(values.get("memory"))
        self.probe = bool(values.get("probe"))
        self.below = float(values.get("below", 0.0))
        self.unlike = str(values.get("unlike", ""))


class Observer:
    """Everything that the watchers know while the user's program runs."""

    def __init__(self, trace: Trace, options: Options) -> None:
        self.trace = trace
        self.options = options
        self.busy = 0
        self.steps = 0
        self.backwards = 0
        self.optimizers: list[Any] = []
        self.modules: list[Any] = []
        self.in_loader = 0
        self.eval_forward = False
        self.syncs: dict[str, int] = {}
        self.batch_size = 1
        self.mark = 0
        self.values: dict[str, list[list[float]]] = {}
        self._names: dict[int, str] = {}
        self.ends: Callable[[], None] = _nothing
        self.after_step: list[Callable[[], dict[str, Any]]] = []
        self.step_written: list[Callable[[], None]] = []

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """While the observer itself computes: watchers pass everything through, and no graph is built."""
        self.busy += 1
        try:
            with torch.no_grad():
                yield
        finally:
            self.busy -= 1

    @property
    def asleep(self) -> bool:
        """Whether watchers should pass through: the observer is at work, or this is a child process."""
        return self.busy > 0 or not self.trace.mine

    def know_module(self, module: torch.nn.Module) -> None:
        """Remember a module by which parameters can be named."""
        if not any(ref() is module for ref in self.modules):
            self.modules.append(weakref.ref(module))
            self._names.clear()

    def live_modules(self) -> list[torch.nn.Module]:
        """The modules that user code called or took parameters from, largest first."""
        live = [m for m in (ref() for ref in self.modules) if m is not None]
        return sorted(live, key=lambda m: -sum(1 for _ in m.parameters()))

    def name(self, parameter: torch.Tensor) -> str:
        """A parameter's name in the largest module that holds it, without wrappers' prefixes."""
        if id(parameter) not in self._names:
            for module in self.live_modules():
                for name, value in module.named_parameters(remove_duplicate=False):
                    self._names.setdefault(id(value), strip_prefix(name))
        return self._names.get(id(parameter), f"a parameter of shape {tuple(parameter.shape)}")

    def trained(self) -> list[torch.Tensor]:
        """The parameters of all optimizers, each once."""
        seen: dict[int, torch.Tensor] = {}
        for optimizer in self.optimizers:
            for parameter in parameters_of(optimizer):
                seen.setdefault(id(parameter), parameter)
        return list(seen.values())

    def rng(self) -> dict[str, str]:
        """Fingerprints of the global random states."""
        states = {"torch": digest(torch.get_rng_state()), "python": digest(repr(random.getstate()))}
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            kind, keys, position, *_ = numpy.random.get_state()
            states["numpy"] = digest([kind, keys, position])
        return states

    def note_value(self, site: str, value: float) -> None:
        """Remember a number that user code took out of the current batch, with the batch's size."""
        if self.backwards == self.mark and len(self.values) < 40:
            noted = self.values.setdefault(site, [])
            if len(noted) < 200:
                noted.append([value, float(self.batch_size)])

    def stop(self, reason: str, code: int = 0) -> None:
        """End the process at once: it has shown what it was run for. No user code runs any more."""
        with contextlib.suppress(Exception):
            self.ends()
        self.trace.write("stop", reason=reason, step=self.steps)
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        _leave(code)


def _nothing() -> None:
    """Until the watchers are installed, nothing is left to say at the end."""


def tags(node: Any) -> dict[str, Any]:
    """The dictionary that an autograd node carries with it, and that dies with it."""
    return getattr(node, "metadata", {})


def parameters_of(optimizer: Any) -> Iterator[torch.Tensor]:
    """All parameters in an optimizer's groups."""
    for group in optimizer.param_groups:
        yield from group["params"]


def strip_prefix(name: str) -> str:
    """A parameter's name without what DDP, compile and averaging wrappers put in front."""
    parts = [part for part in name.split(".") if part not in ("_orig_mod", "_fsdp_wrapped_module")]
    while len(parts) > 1 and parts[0] == "module":
        parts = parts[1:]
    return ".".join(parts)
