"""Watches the outermost call of every module: which mode it is in, and which data enters it."""

from __future__ import annotations

import re
from typing import Any

import torch

from .losses import LossWatch
from .observe import MODE_LAYERS, Observer, parameters_of
from .trace import digest, sample_digests, tensors_in
from .watch_targets import TargetWatch

_WEIGHTED = re.compile(r"Linear|Conv")
_TARGET = re.compile(r"label|target", re.IGNORECASE)
DESCRIBED = 200
"""Forward passes whose samples are told apart."""


class ForwardWatch:
    """Writes a `fwd` event for each outermost call of a module that has parameters."""

    def __init__(self, observer: Observer, losses: LossWatch, targets: TargetWatch) -> None:
        self.o = observer
        self.losses = losses
        self.targets = targets
        self.described = 0
        self.depth = 0
        self.in_training_call = False
        self.judging = False
        self.training_forwards = 0
        self.last_leaf: torch.nn.Module | None = None
        self.loaded: set[int] = set()

    def install(self) -> None:
        """Patch `nn.Module`."""
        original = torch.nn.Module.__call__
        parameters = torch.nn.Module.parameters
        load = torch.nn.Module.load_state_dict

        def call(module: Any, *args: Any, **kwargs: Any) -> Any:
            if self.o.asleep:
                return original(module, *args, **kwargs)
            if self.depth:
                if self.in_training_call and module._parameters and self.o.steps == 0 and torch.is_grad_enabled():
                    self.last_leaf = module
                return original(module, *args, **kwargs)
            self.depth += 1
            try:
                self._before(module, args, kwargs)
                return self._after(module, original(module, *args, **kwargs))
            finally:
                self.depth -= 1

        def watched_parameters(module: Any, recurse: bool = True) -> Any:
            if not self.depth and not self.o.asleep:
                self.o.know_module(module)
            return parameters(module, recurse)

        def watched_load(module: Any, *args: Any, **kwargs: Any) -> Any:
            self.loaded.update(id(p) for p in parameters(module))
            return load(module, *args, **kwargs)

        for name, value in (("__call__", call), ("parameters", watched_parameters), ("load_state_dict", watched_load)):
            setattr(torch.nn.Module, name, value)
        if self.o.options.no_dropout:
            _switch_off_dropout()
        else:
            self._watch_dropout()

    def _watch_dropout(self) -> None:
        """Note where dropout is on in evaluation: called as a function, it belongs to no layer that has a mode."""
        original = torch.nn.functional.dropout

        def dropout(input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
            if self.judging and self.depth and training and p > 0 and not self.o.asleep:
                self.o.trace.write("dropped", site=self.o.trace.site())
                self.judging = False
            return original(input, p, training, inplace)

        setattr(torch.nn.functional, "dropout", dropout)  # noqa: B010

    def _before(self, module: torch.nn.Module, args: Any, kwargs: Any) -> None:
        with self.o.quiet():
            own = list(module.parameters())
        if not own:
            return
        self.o.know_module(module)
        grad = torch.is_grad_enabled() and any(p.requires_grad for p in own)
        held = {id(p) for optimizer in self.o.optimizers for p in parameters_of(optimizer)}
        # Without an optimizer, a program may update its weights by hand.
        trained = any(id(p) in held if held else p.grad is not None for p in own)
        if trained and not grad:
            self.o.eval_forward = True
        self.in_training_call = trained and grad
        self.judging = trained and not torch.is_grad_enabled()
        if self.in_training_call:
            self.losses.start()
        with self.o.quiet():
            inputs = [t for t in tensors_in([list(args), kwargs]) if t.dim()]
            if self.in_training_call:
                told = {key: value for key, value in kwargs.items() if not _TARGET.search(key)}
                self.targets.entered(t for t in tensors_in([list(args), told]) if t.dim())
            layers = [m for m in module.modules() if isinstance(m, MODE_LAYERS)]
            first = next(iter(inputs), None)
            self.o.trace.write(
                "fwd",
                m=id(module),
                cls=type(module).__name__,
                trained=trained,
                bulk=sum(p.numel() for p in own),
                input=digest([list(args), kwargs]),
                n=int(first.shape[0]) if first is not None else 1,
                train=module.training,
                grad=grad,
                layers=len(layers),
                layers_eval=sum(not m.training for m in layers),
                rows=self._rows(inputs),
                site=self.o.trace.site(),
            )

    def _rows(self, inputs: list[torch.Tensor]) -> list[str]:
        """Fingerprints of the samples that enter, in runs that ask for them: evaluation must not see trained ones."""
        self.described += 1
        wanted = self.o.options.probe and not self.o.in_loader and self.described <= DESCRIBED
        return sample_digests(inputs[:1]) if wanted and inputs and inputs[0].is_floating_point() else []

    def _after(self, module: torch.nn.Module, result: Any) -> Any:
        if not torch.is_grad_enabled():
            return result
        with self.o.quiet():
            bare = next(module.parameters(), None) is None
        if bare:
            self.losses.result(result, type(module).__name__, 2)
        elif module.training:
            self.training_forwards += 1
            if self.training_forwards == self.o.options.nan_at:
                self.o.trace.write("nan_injected", site=self.o.trace.site())
                return _poisoned(result)
        return result

    def frozen_head(self) -> list[str]:
        """Names of the parameters of the last layer that ran, where they are frozen and came from no file."""
        leaf = self.last_leaf
        if leaf is None:
            return []
        own = list(leaf._parameters.values())
        parameters = [p for p in own if p is not None]
        if any(p.requires_grad or id(p) in self.loaded for p in parameters):
            return []
        return [self.o.name(p) for p in parameters]

    def frozen_layers(self) -> list[str]:
        """Names of frozen weights inside modules that train, which came from no file and are no copies of others."""
        trained = [p for m in self.o.live_modules() for p in m.parameters() if p.requires_grad]
        found = []
        for module in self.o.live_modules():
            if not any(p.requires_grad for p in module.parameters()):
                continue
            for layer in (m for m in module.modules() if _WEIGHTED.search(type(m).__name__)):
                weight = layer._parameters.get("weight")
                if weight is None or weight.requires_grad or id(weight) in self.loaded or weight.dim() < 2:
                    continue
                if not any(p.shape == weight.shape and torch.equal(p, weight) for p in trained):
                    found.append(self.o.name(weight))
        return list(dict.fromkeys(found))


def _poisoned(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value * float("nan") if value.is_floating_point() else value
    if isinstance(value, dict):
        for key in list(value):
            value[key] = _poisoned(value[key])
        return value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*[_poisoned(item) for item in value])
    if isinstance(value, (list, tuple)):
        return type(value)([_poisoned(item) for item in value])
    return value


def _switch_off_dropout() -> None:
    def keep(input: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        return input

    for name in ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"):
        setattr(torch.nn.functional, name, keep)
    attention = torch.nn.functional.scaled_dot_product_attention

    def without_dropout(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        if len(args) > 1:
            args = (args[0], 0.0, *args[2:])
        elif "dropout_p" in kwargs:
            kwargs["dropout_p"] = 0.0
        return attention(query, key, value, *args, **kwargs)

    setattr(torch.nn.functional, "scaled_dot_product_attention", without_dropout)  # noqa: B010
