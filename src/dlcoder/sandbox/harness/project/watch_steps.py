"""Watches backward passes, gradient clipping, loss scaling and optimizer steps."""

from __future__ import annotations

import functools
import inspect
import math
import weakref
from typing import Any, Callable

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from .ema import AverageWatch
from .losses import LossWatch, scalar_factors
from .observe import MODE_LAYERS, Observer, parameters_of, tags
from .projection import Projector
from .trace import digest, digest_bytes, tensor_bytes, whole

NOISE = 1e-5
"""Gradients below this share of the largest one may be rounding alone."""
CLOSELY_WATCHED = 3
"""Steps in which single parameters are compared; later ones compare fingerprints of all."""
FLAT_STEPS, FLAT = 60, 0.002
"""A loss on one batch that falls by less than this share of its first value in so many steps will not fall."""


class InjectedCrashError(RuntimeError):
    """Raised on purpose in one rank, to see whether the others end."""


class _Sentinel:
    """Dies with the autograd node in whose metadata it lies."""


class _Window:
    """What happened to an optimizer's gradients since its last step."""

    def __init__(self) -> None:
        self.clean = False
        self.unscaled = False
        self.scaled = False
        self.local: list[float] | None = None
        self.projection: list[float] | None = None
        self.kept: list[torch.Tensor] = []
        self.clips: list[dict[str, Any]] = []
        self.pending: dict[str, Any] = {}
        self.before: dict[int, str] = {}


class StepWatch:
    """Writes `bwd`, `clip`, `unscale` and `step` events, and ends the run when it has shown enough."""

    def __init__(self, observer: Observer, losses: LossWatch, averages: AverageWatch) -> None:
        self.o = observer
        self.losses = losses
        self.averages = averages
        self.projector = Projector()
        self.windows: dict[int, _Window] = {}
        self.graphs: list[tuple[int, Any]] = []
        self.scalers: list[Any] = []
        self.in_backward = 0
        self.in_step = 0
        self.first_loss: float | None = None
        self.seen_losses: list[float] = []
        self.scaler_stepping = 0
        self.frozen_head: Callable[[], list[str]] = list
        self.frozen_layers: Callable[[], list[str]] = list
        self.keepers: Callable[[], list[str]] = list

    def window(self, optimizer: Any) -> _Window:
        """What happened since this optimizer's last step."""
        return self.windows.setdefault(id(optimizer), _Window())

    def install(self) -> None:
        """Patch torch."""
        self._wrap_backward()
        self._wrap_clipping()
        self._wrap_scaler()
        self._wrap_optimizers()

    # -- backward -----

    def _wrap_backward(self) -> None:
        original = torch.autograd.backward

        @functools.wraps(original)
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            if self.o.asleep or self.in_backward:
                return original(tensors, *args, **kwargs)
            self.in_backward += 1
            try:
                marks = self._before_backward(tensors)
                original(tensors, *args, **kwargs)
                self._after_backward(marks)
            finally:
                self.in_backward -= 1

        setattr(torch.autograd, "backward", backward)  # noqa: B010

    def _before_backward(self, tensors: Any) -> list[Any]:
        root = tensors if isinstance(tensors, torch.Tensor) else next(iter(tensors))
        with self.o.quiet():
            fresh = [not any(_stale(p) for p in parameters_of(optimizer)) for optimizer in self.o.optimizers]
            for optimizer, clean in zip(self.o.optimizers, fresh):
                window = self.window(optimizer)
                window.clean = window.clean or clean
            scale = getattr(root, "_dlcoder_scale", None)
            loss = float(root.detach().double().sum()) / (scale or 1.0)
            event = {"numel": root.numel(), "scaled": scale is not None, "factors": scalar_factors(root)}
        self.losses.reached(root)
        if self.first_loss is None:
            self.first_loss = loss
        if root.grad_fn is not None:
            sentinel = _Sentinel()
            tags(root.grad_fn)["dlcoder"] = sentinel
            self.graphs.append((self.o.steps, weakref.ref(sentinel)))
        self.o.trace.write(
            "bwd", loss=loss, site=self.o.trace.site(), fresh=fresh, lr=_rates(self.o.optimizers), **event
        )
        if self.o.options.below:
            self._stop_when_clear(loss)
        if self.o.options.local:
            self._project_local(root, scale or 1.0)
        return [_grad_marks(optimizer) for optimizer in self.o.optimizers]

    def _stop_when_clear(self, loss: float) -> None:
        """End a run on one batch that has learnt it, or that has long stopped to learn."""
        first = self.first_loss or 0.0
        if self.o.steps and loss <= self.o.options.below * first:
            self.o.stop("below")
        self.seen_losses.append(loss)
        recent, before = self.seen_losses[-FLAT_STEPS:], self.seen_losses[-2 * FLAT_STEPS : -FLAT_STEPS]
        enough = len(before) == FLAT_STEPS and self.o.steps >= 2 * FLAT_STEPS
        if enough and sum(before) - sum(recent) < FLAT * abs(first) * FLAT_STEPS:
            self.o.stop("flat")

    def _project_local(self, root: torch.Tensor, scale: float) -> None:
        """Add this rank's own gradient, before any synchronization, to the window's projection."""
        for optimizer in self.o.optimizers:
            own = [p for p in parameters_of(optimizer) if p.requires_grad]
            if any(hasattr(p, "full_tensor") for p in own):
                continue  # the graph holds the gathered weights, not the shares that the optimizer has
            try:
                grads = torch.autograd.grad(root, own, retain_graph=True, allow_unused=True)
            except RuntimeError:
                continue
            with self.o.quiet():
                window = self.window(optimizer)
                new = self.projector.project([(i, g) for i, g in enumerate(grads) if g is not None])
                if new is not None:
                    old = window.local or [0.0] * len(new)
                    window.local = [a + b / scale for a, b in zip(old, new)]

    def _after_backward(self, marks: list[Any]) -> None:
        self.o.backwards += 1
        with self.o.quiet():
            after = [_grad_marks(optimizer) for optimizer in self.o.optimizers]
        touched = [i for i, mark in enumerate(after) if i >= len(marks) or mark != marks[i]]
        self.o.trace.write("bwd_end", opts=touched)

    # -- clipping and scaling -----

    def _wrap_clipping(self) -> None:
        module = torch.nn.utils.clip_grad
        for name in ("clip_grad_norm_", "clip_grad_value_"):
            watched = self._watched_clip(getattr(module, name), name)
            setattr(module, name, watched)
            setattr(torch.nn.utils, name, watched)

    def _watched_clip(self, original: Any, name: str) -> Any:
        signature = inspect.signature(original)

        @functools.wraps(original)
        def clip(*args: Any, **kwargs: Any) -> Any:
            if self.o.asleep:
                return original(*args, **kwargs)
            call = signature.bind(*args, **kwargs).arguments
            parameters, bound, *_ = call
            given = call[parameters]
            listed = call[parameters] = [given] if isinstance(given, torch.Tensor) else list(given)
            with self.o.quiet():
                self._project_unclipped(listed)
            value = original(**call)
            with self.o.quiet():
                self._clipped(listed, name, float(call[bound]), value)
            return value

        return clip

    def _project_unclipped(self, parameters: list[torch.Tensor]) -> None:
        """Project the gradients as they are before clipping, and before unscaling where that was forgotten."""
        ids = {id(p) for p in parameters}
        for optimizer in self.o.optimizers if self.o.options.project else []:
            window = self.window(optimizer)
            if window.projection is None and any(id(p) in ids for p in parameters_of(optimizer)):
                window.projection = self.projector.project(_numbered_grads(optimizer))

    def _clipped(self, parameters: list[torch.Tensor], name: str, bound: float, value: Any) -> None:
        site = self.o.trace.site(4)
        norm = float(whole(value)) if isinstance(value, torch.Tensor) else None
        ids = {id(p) for p in parameters}
        for i, optimizer in enumerate(self.o.optimizers):
            if any(id(p) in ids for p in parameters_of(optimizer)):
                window = self.window(optimizer)
                scaled = window.scaled and not window.unscaled
                window.clips.append({"ids": ids, "name": name, "bound": bound, "site": site})
                enabled = any(s.is_enabled() for s in self.scalers)
                self.o.trace.write(
                    "clip", opt=i, name=name, bound=bound, norm=norm, site=site, scaled=scaled, enabled=enabled
                )

    def _wrap_scaler(self) -> None:
        scaler = getattr(torch.amp, "GradScaler", None) or torch.cuda.amp.GradScaler
        for name, watched in (
            ("__init__", self._scaler_init(scaler.__init__)),
            ("scale", self._scaler_scale(scaler.scale)),
            ("unscale_", self._scaler_unscale(scaler.unscale_)),
            ("step", self._scaler_step(scaler.step)),
        ):
            setattr(scaler, name, watched)

    def _scaler_init(self, original: Any) -> Any:
        """Without a GPU torch would switch scaling off; on the CPU it works, and its mistakes show."""
        on_cpu = not torch.cuda.is_available() and hasattr(torch.amp, "GradScaler")

        def init(this: Any, *args: Any, **kwargs: Any) -> None:
            named = bool(args) and isinstance(args[0], str)
            device = args[0] if named else kwargs.get("device", "cuda")
            if on_cpu and device == "cuda" and kwargs.get("enabled", True):
                rest = args[1:] if named else args
                kwargs.pop("device", None)
                args = ("cpu", *rest)
            original(this, *args, **kwargs)
            self.scalers.append(this)

        return init

    def _scaler_scale(self, original: Any) -> Any:
        def scale(this: Any, outputs: Any) -> Any:
            result = original(this, outputs)
            if isinstance(result, torch.Tensor) and not self.o.asleep:
                for optimizer in self.o.optimizers:
                    self.window(optimizer).scaled = True
                if this.is_enabled():
                    setattr(result, "_dlcoder_scale", this.get_scale())  # noqa: B010
                    if result.grad_fn is not None:
                        tags(result.grad_fn)["dlcoder_scaled"] = True
            return result

        return scale

    def _scaler_unscale(self, original: Any) -> Any:
        def unscale(this: Any, optimizer: Any) -> Any:
            inner = _unwrapped(optimizer)
            if not self.o.asleep and not self.scaler_stepping:
                self.window(inner).unscaled = True
                self.o.trace.write("unscale", opt=self._index(inner), site=self.o.trace.site())
            return original(this, optimizer)

        return unscale

    def _scaler_step(self, original: Any) -> Any:
        def step(this: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            self.o.trace.write("scaler_step", opt=self._index(_unwrapped(optimizer)), enabled=this.is_enabled())
            self.scaler_stepping += 1
            try:
                return original(this, optimizer, *args, **kwargs)
            finally:
                self.scaler_stepping -= 1

        return step

    def _index(self, optimizer: Any) -> int:
        return next((i for i, known in enumerate(self.o.optimizers) if known is optimizer), -1)

    # -- optimizers -----

    def _wrap_optimizers(self) -> None:
        base = torch.optim.Optimizer
        init = base.__init__

        def watched_init(this: Any, *args: Any, **kwargs: Any) -> None:
            init(this, *args, **kwargs)
            if not self.o.asleep and self._index(this) < 0:
                self.o.optimizers.append(this)
                groups = [{k: v for k, v in g.items() if k != "params"} for g in this.param_groups]
                self.o.trace.write(
                    "optimizer",
                    i=len(self.o.optimizers) - 1,
                    cls=type(this).__name__,
                    site=self.o.trace.site(),
                    groups=[{**g, "n": len(this.param_groups[i]["params"])} for i, g in enumerate(groups)],
                )

        setattr(base, "__init__", watched_init)  # noqa: B010
        register_optimizer_step_pre_hook(self._pre_hook)
        register_optimizer_step_post_hook(self._post_hook)

    def _pre_hook(self, optimizer: Any, args: Any, kwargs: Any) -> Any:
        if self.o.asleep:
            return None
        self.in_step += 1
        if self.in_step > 1:
            return None
        closure = kwargs.get("closure") or (args[1] if len(args) > 1 else None)
        if not callable(closure):
            self._before_step(optimizer)
            return None

        def watched_closure() -> Any:
            result = closure()
            self._before_step(optimizer)
            return result

        # A closure computes the gradients inside step().
        if kwargs.get("closure"):
            return args, {**kwargs, "closure": watched_closure}
        return (args[0], watched_closure, *args[2:]), kwargs

    def _before_step(self, optimizer: Any) -> None:
        options = self.o.options
        if not self.o.steps and options.losses:
            with self.o.quiet():
                self.o.trace.write("frozen_layers", names=self.frozen_layers()[:20])
        if options.crash_at == self.o.steps + 1 and options.crash_rank == self.o.trace.rank:
            raise InjectedCrashError(f"injected by the crash check on rank {self.o.trace.rank}")
        with self.o.quiet():
            window = self.window(optimizer)
            window.pending = self._state_before(optimizer, window)
            window.before = {i: _fingerprint(p) for i, p in enumerate(parameters_of(optimizer))}
            if options.undo:
                window.kept = [p.detach().clone() for p in parameters_of(optimizer)]
            if options.hold_lr:
                for group in optimizer.param_groups:
                    declared = max(group.get("initial_lr", 0.0), self._first_lr(optimizer))
                    faster = options.lr_factor * declared if options.lr_factor != 1 else 0.0
                    group["lr"] = faster or max(group["lr"], declared)

    def _first_lr(self, optimizer: Any) -> float:
        return float(optimizer.defaults.get("lr", 0.0) or 0.0)

    def _state_before(self, optimizer: Any, window: _Window) -> dict[str, Any]:
        grads = _numbered_grads(optimizer)
        state: dict[str, Any] = {
            "lr": [float(g["lr"]) for g in optimizer.param_groups if "lr" in g],
            "norm": _norm(g for _, g in grads),
            "state": digest(_ordered_state(optimizer)),
            "params": digest_bytes("".join(map(_fingerprint, parameters_of(optimizer))).encode()),
            "rng": self.o.rng(),
            "clean": window.clean,
            "unclipped": _unclipped(optimizer, window.clips),
            "sharded": any(_is_shard(p) for p in parameters_of(optimizer)),
            "scaler": [[s.get_scale(), s._growth_tracker] for s in self.scalers if s.is_enabled()],
            "ema": self.averages.digests(),
        }
        state["scaler"] = [[float(scale), digest(tracker)] for scale, tracker in state["scaler"]]
        if self.o.options.project:
            state["projection"] = window.projection or self.projector.project(grads)
            state["local"] = window.local
        if self.o.steps < CLOSELY_WATCHED:
            state.update(self._gradients(optimizer))
        return state

    def _gradients(self, optimizer: Any) -> dict[str, Any]:
        own = list(parameters_of(optimizer))
        grads = [(p, whole(p.grad)) for p in own if p.grad is not None]
        held = {id(p) for p in self.o.trained()}
        loose = [
            self.o.name(p)
            for module in self.o.live_modules()
            for p in module.parameters()
            if id(p) not in held and p.requires_grad and p.grad is not None
        ]
        return {
            "n": len(own),
            "frozen": sum(not p.requires_grad for p in own),
            "none": [self.o.name(p) for p in own if p.requires_grad and p.grad is None][:20],
            "zero": [self.o.name(p) for p, grad in grads if not bool(grad.any())][:20],
            "nonfinite": [self.o.name(p) for p, grad in grads if not bool(grad.isfinite().all())][:8],
            "loose": list(dict.fromkeys(loose))[:20],
        }

    def _post_hook(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if self.o.asleep:
            return
        self.in_step -= 1
        if self.in_step:
            return
        window = self.windows.pop(id(optimizer), _Window())
        with self.o.quiet():
            after = {i: _fingerprint(p) for i, p in enumerate(parameters_of(optimizer))}
            own = list(parameters_of(optimizer))
            event = dict(window.pending)
            event["after"] = digest_bytes("".join(after.values()).encode())
            if self.o.steps < CLOSELY_WATCHED:
                largest = max((_largest(p.grad) for p in own if p.grad is not None), default=0.0)
                event["unchanged"] = [
                    self.o.name(p)
                    for i, p in enumerate(own)
                    if window.before.get(i) == after[i] and _matters(p, largest)
                ][:20]
            if self.o.options.nan_at:
                event["finite"] = all(bool(whole(p).isfinite().all()) for p in own)
            if self.o.options.same_batch and self.o.steps < CLOSELY_WATCHED:
                event["memories"] = digest([_memories(module) for module in self.o.live_modules()[:2]])
            event["graphs"] = self._graphs_alive()
        event["syncs"], self.o.syncs = self.o.syncs, {}
        event["mixed"], self.o.eval_forward = self.o.eval_forward, False
        self.o.steps += 1
        for addition in self.o.after_step:
            event.update(addition())
        self.o.trace.write("step", opt=self._index(optimizer), s=self.o.steps, site=self.o.trace.site(), **event)
        self._name_suspects(event)
        with self.o.quiet():
            for parameter, kept in zip(own, window.kept):
                parameter.copy_(kept)
        self.losses.stepped()
        for finished in self.o.step_written:
            finished()
        if self.o.options.stop_after and self.o.steps >= self.o.options.stop_after:
            self.o.stop("steps")

    def _name_suspects(self, event: dict[str, Any]) -> None:
        if self.o.steps == 1 and self.frozen_head():
            self.o.trace.write("frozen_head", names=self.frozen_head())
        if event["graphs"] == CLOSELY_WATCHED:
            self.o.trace.write("keepers", names=self.keepers())

    def _graphs_alive(self) -> int:
        """Graphs of losses from before the previous step that are still in memory."""
        self.graphs = [(step, ref) for step, ref in self.graphs if ref() is not None]
        return sum(step < self.o.steps - 1 for step, _ in self.graphs)


def _memories(module: torch.nn.Module) -> list[torch.Tensor]:
    """Buffers that are no statistics of a normalization: queues, codebooks, memory banks."""
    owners = [m for m in module.modules() if not isinstance(m, MODE_LAYERS)]
    return [b for m in owners for b in m.buffers(recurse=False) if b.dim()]


def _rates(optimizers: list[Any]) -> list[list[float]]:
    return [[float(g["lr"]) for g in optimizer.param_groups if "lr" in g] for optimizer in optimizers]


def _numbered_grads(optimizer: Any) -> list[tuple[int, torch.Tensor]]:
    return [(i, p.grad) for i, p in enumerate(parameters_of(optimizer)) if p.grad is not None]


def _fingerprint(parameter: torch.Tensor) -> str:
    return digest_bytes(tensor_bytes(parameter))


def _is_shard(parameter: torch.Tensor) -> bool:
    """Whether a rank has only a part of this parameter, and it cannot be put together (the first FSDP)."""
    return bool(getattr(parameter, "_is_flat_param", False))


def _matters(parameter: torch.Tensor, largest: float) -> bool:
    """Whether a gradient is more than rounding noise: that of a bias in front of a normalization is not."""
    return parameter.grad is not None and _largest(parameter.grad) > NOISE * largest


def _largest(grad: torch.Tensor) -> float:
    return float(whole(grad).abs().max()) if grad.numel() else 0.0


def _stale(parameter: torch.Tensor) -> bool:
    return parameter.grad is not None and bool(whole(parameter.grad).any())


def _grad_marks(optimizer: Any) -> list[tuple[int, int]]:
    """Changes whenever a backward pass adds to a gradient."""
    grads = [p.grad for p in parameters_of(optimizer)]
    return [(0, 0) if g is None else (id(g), g._version) for g in grads]


def _norm(grads: Any) -> float:
    return math.sqrt(sum(float(whole(g.detach()).double().pow(2).sum()) for g in grads))


def _unclipped(optimizer: Any, clips: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Clips by norm after which the gradients are nevertheless larger than their bound."""
    found = []
    for clip in clips:
        if clip["name"] == "clip_grad_norm_":
            norm = _norm(p.grad for p in parameters_of(optimizer) if id(p) in clip["ids"] and p.grad is not None)
            if norm > clip["bound"] * 1.01:
                found.append({"norm": norm, "bound": clip["bound"], "site": clip["site"]})
    return found


def _ordered_state(optimizer: Any) -> list[Any]:
    return [dict(optimizer.state.get(p, {})) for p in parameters_of(optimizer)]


def _unwrapped(optimizer: Any) -> Any:
    """The torch optimizer inside a wrapper (accelerate's)."""
    while not isinstance(optimizer, torch.optim.Optimizer) and hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    return optimizer
