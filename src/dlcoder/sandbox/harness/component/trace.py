"""Watching a program's torch calls, to name the line where something went wrong."""

from __future__ import annotations

import re
import warnings
from typing import Any, Callable

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from . import judge
from .source import Source


class Devices(TorchDispatchMode):
    """Notes the first user line whose operation mixes the CPU with another device, as a GPU would refuse it."""

    def __init__(self, source: Source) -> None:
        super().__init__()  # type: ignore[no-untyped-call,unused-ignore]
        self.source = source
        self.mixed: int | None = None
        self.operation = ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Look at the devices, then run the operation."""
        name = str(func)
        given = [t for t in tensors((args, kwargs or {})) if t.dim() > 0]
        if len({t.device.type for t in given}) > 1 and self.mixed is None and not _MOVES.search(name):
            self.mixed, self.operation = self.source.running_line(), name
        return func(*args, **(kwargs or {}))


# Copies between devices, and indexing by an index on the CPU, are allowed.
_MOVES = re.compile(r"copy|aten\.index|_to|item|dense|lift|set_|alias|detach")


def tensors(value: Any) -> list[Tensor]:
    """Every tensor inside nested tuples, lists and dicts."""
    return [leaf for leaf in tree_flatten(value)[0] if isinstance(leaf, Tensor)]


_FACTORS = ("mul", "__mul__", "__rmul__", "div", "__truediv__", "__rtruediv__", "mul_", "div_", "__imul__")


class Trace(TorchFunctionMode):
    """Notes, per kind of accident, the first user line at which it happened.

    Attributes:
        nonfinite: A finite input became a non-finite output.
        detached: An input was part of the graph and the floating output, or a Python number, was not.
        written: A watched tensor was changed in place.
        calls: (function name, line) of every call.
        weighed: Lines on which something with a graph was multiplied by something without one.
    """

    def __init__(self, source: Source, watched: tuple[Tensor, ...] = ()) -> None:
        super().__init__()
        self.source = source
        self.watched = [(tensor, tensor._version) for tensor in watched]
        self.nonfinite: int | None = None
        self.detached: int | None = None
        self.written: int | None = None
        self.calls: list[tuple[str, int | None]] = []
        self.weighed: set[int] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the call and look at what went in and what came out."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        line = self.source.running_line()
        self.calls.append((name, line))
        if line is None or name in ("size", "dim", "requires_grad_", "numel"):
            return result
        inputs = tensors((args, kwargs))
        if name in _FACTORS and {t.requires_grad for t in inputs} == {True, False}:
            self.weighed.add(line)
        self._look(inputs, result, line)
        return result

    def _look(self, inputs: list[Tensor], result: Any, line: int | None) -> None:
        outputs = tensors(result)
        with torch._C.DisableTorchFunction():
            for tensor, version in self.watched:
                if self.written is None and tensor._version != version:
                    self.written = line
            if self.nonfinite is None and not all(map(_finite, outputs)) and all(map(_finite, inputs)):
                self.nonfinite = line
            if self.detached is None and any(t.requires_grad for t in inputs):
                lost = isinstance(result, float) or any(_is_real(t) and not t.requires_grad for t in outputs)
                lost = lost or any(not t.is_floating_point() and t.dtype == torch.int64 for t in outputs)
                if lost:
                    self.detached = line


def _is_real(value: Tensor) -> bool:
    return value.is_floating_point() and value.numel() > 0


def _finite(value: Tensor) -> bool:
    return not value.is_floating_point() or value.is_meta or judge.finite(value)


class Recorder(TorchFunctionMode):
    """Keeps what every call on a user line returned."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source
        self.results: list[tuple[int, Tensor]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the call and keep a copy of each tensor that came out."""
        result = func(*args, **(kwargs or {}))
        line = self.source.running_line()
        if line is not None and getattr(func, "__name__", "") not in _UNSEEN:
            with torch._C.DisableTorchFunction():
                self.results += [(line, tensor.detach().clone()) for tensor in tensors(result)]
        return result


_UNSEEN = ("__get__", "requires_grad_", "size", "dim", "shape")


def divergence(
    source: Source,
    first: Callable[[], Any],
    second: Callable[[], Any],
    tells: Callable[[Tensor, Tensor], bool],
) -> str:
    """The first user line at which two runs of one program part in a way that `tells`, quoted; empty if none."""
    runs = []
    for function in (first, second):
        recorder = Recorder(source)
        try:
            with recorder:
                function()
        except Exception:
            return ""
        runs.append(recorder.results)
    if [line for line, _ in runs[0]] != [line for line, _ in runs[1]]:
        return ""
    for (line, a), (_, b) in zip(*runs):
        if a.shape == b.shape and not a.is_meta and tells(a, b):
            return source.quote(line)
    return ""


def traced(source: Source, function: Callable[[], Any], watched: tuple[Tensor, ...] = ()) -> Trace:
    """Run under a trace; an exception of the function ends the trace, not the check."""
    trace = Trace(source, watched)
    try:
        with trace:
            function()
    except Exception:
        pass
    return trace


def nonfinite_line(source: Source, function: Callable[[], Any]) -> str:
    """Where the forward pass first turns finite numbers into others, quoted."""
    line = traced(source, function).nonfinite
    return source.quote(line) if line else ""


def nonfinite_gradient_line(source: Source, function: Callable[[], Tensor]) -> str:
    """The forward line whose backward yields a nan, by torch's anomaly mode, quoted."""
    pattern = re.compile(r'File "([^"]+)", line (\d+)')
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with torch.autograd.set_detect_anomaly(True):
                function().backward()
    except Exception:
        pass
    for warning in caught:
        hits = [int(n) for file, n in pattern.findall(str(warning.message)) if file == source.file]
        if hits:
            return source.quote(hits[-1])
    return ""
