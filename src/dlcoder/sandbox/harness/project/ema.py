"""Finds averaged copies of the model by the names that people give them, and watches whether they move."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable
from typing import Any

import torch

from .observe import Observer, strip_prefix
from .trace import digest_bytes, tensor_bytes

_NAME = re.compile(r"(^|_)(ema|averaged?|avg|shadow|swa|polyak)($|_|\d)", re.IGNORECASE)
_TARGET = re.compile(
    r"(^|_)(target|momentum|key)(_?(net|network|encoder|q|critic|actor|policy|model|branch))?s?$|_k$", re.IGNORECASE
)
"""Copies that people call by what they are for; other things are called so too, so only modules count."""
_TYPE = re.compile(r"ema($|[A-Z_])|EMA|Averaged|MovingAverage|Polyak|SWA")
SEARCHED_STEPS = 40
ENOUGH = 0.8
"""Share of the trained parameters that must have a counterpart of the same name and shape."""


class Average:
    """One averaged copy: its tensors by the names of the model's.

    Attributes:
        label: The variable or attribute that held it.
        whole: Whether it is a module, which runs with its own buffers.
    """

    def __init__(self, label: str, tensors: dict[str, torch.Tensor], whole: bool) -> None:
        self.label = label
        self.whole = whole
        self.tensors = tensors

    def digest(self, names: Iterable[str]) -> str:
        """A fingerprint of the named tensors."""
        return digest_bytes(b"".join(tensor_bytes(self.tensors[n]) for n in sorted(names) if n in self.tensors))


class AverageWatch:
    """Looks for averaged copies at each step until one is found; then reports its fingerprints."""

    def __init__(self, observer: Observer) -> None:
        self.o = observer
        self.holders: dict[str, Any] = {}
        self.prefixes: dict[str, str] = {}
        """What the names of a copy's tensors begin with in the model, where it is a copy of a part."""
        self.stale: dict[str, list[str]] = {}
        self.first_buffers: dict[str, tuple[str, str]] = {}

    def digests(self) -> dict[str, str]:
        """Fingerprints of the averaged parameters, by label."""
        if not self.holders and self.o.steps < SEARCHED_STEPS:
            self._search()
        names = {self.o.name(p) for p in self.o.trained()}
        found = {}
        for average in self._averages():
            found[average.label] = average.digest(names & set(average.tensors))
            self._remember_buffers(average)
            self._compare_buffers(average)
        return found

    def _averages(self) -> list[Average]:
        found = []
        for label, holder in self.holders.items():
            value = holder()
            tensors = _named_tensors(value) if value is not None else {}
            prefix = self.prefixes.get(label, "")
            tensors = {prefix + name: tensor for name, tensor in tensors.items()}
            if tensors:
                # A target that is trained against runs in training mode: its buffers follow by themselves.
                whole = _module_of(value) is not None and not _TARGET.search(label.rpartition(".")[2])
                found.append(Average(label, tensors, whole))
        return found

    def _search(self) -> None:
        trained = {self.o.name(p): p for p in self.o.trained()}
        if not trained:
            return
        live = {id(p) for p in trained.values()}
        self._search_siblings(live)
        for label, value in self._named_values():
            tensors = _named_tensors(value)
            if label in self.holders or any(id(t) in live for t in tensors.values()):
                self._note_alias(label, tensors, live)
                continue
            matched = sum(n in tensors and tensors[n].shape == p.shape for n, p in trained.items())
            if matched >= ENOUGH * len(trained):
                self.holders[label] = _reference(value)
                self.o.trace.write("average", label=label, cls=type(value).__name__, site=self.o.trace.site())

    def _search_siblings(self, live: set[int]) -> None:
        """Find copies of a part of the model inside it: the target of a self-distilling model, a momentum encoder."""
        for module in self.o.live_modules()[:2]:
            parts = {
                n: m for n, m in module._modules.items() if m is not None and next(m.parameters(), None) is not None
            }
            for name, part in parts.items():
                label, shapes = f"{type(module).__name__}.{name}", _shapes(part)
                others = [n for n, m in parts.items() if n != name and _shapes(m) == shapes]
                if label in self.holders or not others or not (_NAME.search(name) or _TARGET.search(name)):
                    continue
                if any(parts[n] is part for n in others):
                    self.o.trace.write("average_alias", label=label)
                elif not any(id(p) in live for p in part.parameters()):
                    self.holders[label] = weakref.ref(part)
                    self.prefixes[label] = others[0] + "."
                    self.o.trace.write("average", label=label, cls=type(part).__name__, site=self.o.trace.site())

    def _note_alias(self, label: str, tensors: dict[str, torch.Tensor], live: set[int]) -> None:
        if label not in self.holders and tensors and all(id(t) in live for t in tensors.values() if t.requires_grad):
            self.o.trace.write("average_alias", label=label)

    def _named_values(self) -> Iterable[tuple[str, Any]]:
        seen: set[int] = set()
        for frame in self.o.trace.user_frames(1):
            yield from _look_into(frame.f_locals, seen, 0)
            yield from _look_into(frame.f_globals, seen, 1)
        for frame in self.o.trace.frames(1):
            for callback in _callbacks(frame.f_locals.get("self")):
                yield from _look_into({type(callback).__name__: callback}, seen, 1)

    def _remember_buffers(self, average: Average) -> None:
        if not average.whole:
            return
        live = self._model_buffers(average)
        for name, buffer in live.items():
            pair = (digest_bytes(tensor_bytes(buffer)), digest_bytes(tensor_bytes(average.tensors[name])))
            self.first_buffers.setdefault(average.label + ":" + name, pair)

    def _model_buffers(self, average: Average) -> dict[str, torch.Tensor]:
        for module in self.o.live_modules():
            own = {strip_prefix(n): b for n, b in module.named_buffers() if b.is_floating_point()}
            shared = {n: b for n, b in own.items() if n in average.tensors and average.tensors[n] is not b}
            if shared:
                return shared
        return {}

    def _compare_buffers(self, average: Average) -> None:
        """Note the buffers that moved in the model and never in its averaged copy."""
        stale = []
        for name, buffer in self._model_buffers(average).items() if average.whole else []:
            first = self.first_buffers.get(average.label + ":" + name)
            if first is not None:
                live, copy = digest_bytes(tensor_bytes(buffer)), digest_bytes(tensor_bytes(average.tensors[name]))
                stale += [name] if live != first[0] and copy == first[1] else []
        self.stale[average.label] = stale


def _look_into(names: Any, seen: set[int], depth: int) -> Iterable[tuple[str, Any]]:
    """Values held under a telling name or of a telling type, in variables and in the attributes of user objects."""
    for name, value in list(names.items()):
        if id(value) in seen or name.startswith("__") or isinstance(value, (type, int, float, str, bool, type(None))):
            continue
        telling = _NAME.search(name) or (_TARGET.search(name) and isinstance(value, torch.nn.Module))
        if telling or (_TYPE.search(type(value).__name__) and not callable(getattr(value, "__wrapped__", 0))):
            seen.add(id(value))
            yield name, value
        elif depth < 3 and _is_user_object(value):
            seen.add(id(value))
            yield from _look_into(value.__dict__, seen, depth + 1)


def _callbacks(owner: Any) -> list[Any]:
    """The callbacks of a trainer of some framework, which no variable of the user's need hold."""
    held = getattr(owner, "__dict__", {})
    found = held.get("callbacks") if isinstance(held, dict) else None
    return list(found[:50]) if isinstance(found, (list, tuple)) else []


def _is_user_object(value: Any) -> bool:
    kind = type(value)
    plain = isinstance(getattr(value, "__dict__", None), dict) and not isinstance(value, (torch.nn.Module, dict))
    foreign = kind.__module__.split(".")[0] in ("torch", "numpy", "builtins")
    return plain and not foreign and kind.__name__ not in ("module", "function")


def _module_of(value: Any) -> torch.nn.Module | None:
    if isinstance(value, torch.nn.Module):
        inner = getattr(value, "module", None)
        return inner if isinstance(inner, torch.nn.Module) else value
    held = getattr(value, "__dict__", {})
    return next(
        (v for v in held.values() if isinstance(v, torch.nn.Module) and any(True for _ in v.parameters())), None
    )


def _named_tensors(value: Any) -> dict[str, torch.Tensor]:
    """The tensors of an averaged copy by name, wherever it keeps them: a module, a dict, or attributes holding one."""
    module = _module_of(value) if not isinstance(value, dict) else None
    if isinstance(value, dict):
        flat = {str(k): v for k, v in value.items() if isinstance(v, torch.Tensor)}
        if flat:
            return {strip_prefix(k): v for k, v in flat.items()}
    held = getattr(value, "__dict__", {}) if not isinstance(value, torch.nn.Module) else {}
    for inner in held.values():
        if isinstance(inner, dict) and any(isinstance(v, torch.Tensor) for v in inner.values()):
            return _named_tensors(inner)
    if module is None:
        return {}
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {strip_prefix(k): v for k, v in own.items()}


def _shapes(module: torch.nn.Module) -> list[tuple[str, torch.Size]]:
    return [(name, parameter.shape) for name, parameter in module.named_parameters()]


def _reference(value: Any) -> Any:
    try:
        return weakref.ref(value)
    except TypeError:
        return lambda: value
