"""A metric under examination: a function, or an object that is updated, asked and reset."""

from __future__ import annotations

import copy
import inspect
import math
import re
from typing import Any

import torch
from torch import Tensor, nn

from . import judge
from .build import Builder
from .contract import Contract, Spec
from .core import Broken, Skip
from .layouts import HARD, LAYOUTS, Guess, documented_shapes, guesses
from .loss import Inputs, LossCase
from .source import Source

_BEST_AT_ZERO = r"(?<![a-z])(wer|cer|ter|per)(?![a-z])|error_?rate|edit_?dist|levenshtein"
_TEXTUAL = r"hyp|referenc|sentence|caption|transcript|texts?\b"
_UPDATE = ("update", "add_batch", "add", "accumulate", "step", "process")
_COMPUTE = ("compute", "result", "results", "value", "get", "evaluate", "summarize", "summary", "average", "item")
_RESET = ("reset", "clear", "reset_state", "zero", "reset_states")
_MERGE = ("merge_state", "merge", "combine", "__iadd__", "__add__")
_BEST_AT_ONE = (
    r"accura|f1|fscore|iou|jaccard|dice|precision|recall|top_?k|auc|au?roc|"
    r"kappa|map\b|ssim|average_?precision|ndcg|hit_?rate"
)


def suits(value: Any) -> float:
    """How much a definition looks like a metric."""
    if inspect.isclass(value):
        return 3.0 if any(hasattr(value, name) for name in _UPDATE) and not inspect.isabstract(value) else 0.5
    return 1.0 + bool(re.search(_BEST_AT_ONE, value.__name__, re.I))


class MetricCase(LossCase):
    """The metric and its inputs."""

    def __init__(self, builder: Builder, contract: Contract, source: Source) -> None:
        super().__init__(builder, contract, source)
        builder.is_class = inspect.isclass(builder.target)
        if not builder.is_class:
            builder.parameters = {}
        self.names = {"update": "", "compute": "", "reset": "", "merge": ""}
        self.meter = False

    def prepare(self) -> None:
        """Settle the methods and what they take.

        Raises:
            Broken: It has no update and compute, or accepts nothing that was tried.
        """
        if self.builder.is_class:
            self.builder.prepare()
            self.builder.adopt_sizes()
            if self._is_meter():
                return
            found = {"update": _UPDATE, "compute": _COMPUTE, "reset": _RESET, "merge": _MERGE}
            for role, names in found.items():
                self.names[role] = next((n for n in names if callable(getattr(self.builder.target, n, None))), "")
            if not self.names["update"] or not self.names["compute"]:
                if self.names["update"] and self._outside():
                    self.method = self.names["update"]
                    super().prepare()
                    return
                if not any("__call__" in vars(base) for base in self.builder.target.__mro__):
                    fix = "Give it update(preds, target), compute() and reset()."
                    raise Broken("no update and compute", "both", "It cannot be fed batch by batch.", fix)
                self.names["update"] = ""
            self.method = self.names["update"] or "__call__"
        super().prepare()

    def _is_meter(self) -> bool:
        """Recognise an average of numbers with counts: update(value, n), the average an attribute or a method."""
        made = self.fresh()
        update: Any = getattr(made, "update", None) or getattr(made, "add", None)
        names = list(inspect.signature(update).parameters) if callable(update) else []
        if len(names) != 2 or not re.fullmatch(r"n|num|count|k|weight|batch_size|size", names[1]):
            return False
        result = next((n for n in ("avg", "average", "mean", "global_avg", *_COMPUTE) if hasattr(made, n)), "")
        if not result:
            return False
        reset = next((n for n in _RESET if callable(getattr(made, n, None))), "")
        self.names = {"update": update.__name__, "compute": result, "reset": reset, "merge": ""}
        self.meter = True
        self.contract.assume(f"an average of numbers: {update.__name__}(value, n), read from {result}")
        return True

    def _candidates(self, parameters: list[inspect.Parameter]) -> list[Guess]:
        if len(parameters) < 2:
            said = documented_shapes(parameters, self.source)
            square = re.search(r"sim(ilarit\w*)?$|score_?matrix|logits_per", parameters[0].name if parameters else "")
            specs = [Spec(p.name, said[p.name][0], "real") if p.name in said else _single(p.name) for p in parameters]
            tries = [Guess("single", tuple(specs), 1)]
            return [*tries, Guess("single", (Spec(specs[0].name, ("N", "N"), "real"),), 0)] if square else tries
        names = [p.name for p in parameters]
        spoken = re.search(_TEXTUAL, " ".join(names)) or any("str" in str(p.annotation) for p in parameters)
        if len(names) == 2 and (spoken or re.search(r"\.split\(\)|Counter\(|n_?gram|\.strip\(\)", self.source.body())):
            roles = (("texts", "texts"), ("words", "words"), ("texts", "references"), ("references", "texts"))
            return [Guess("texts", (Spec(names[0], ("B",), a), Spec(names[1], ("B",), b)), 9) for a, b in roles]
        found = guesses(parameters, self.builder.target.__name__, self.source, (*LAYOUTS, *HARD))
        if re.search(_BEST_AT_ONE, self.builder.target.__name__, re.I):
            found.sort(key=lambda guess: -guess.score - (0.5 if "logits" in [s.role for s in guess.specs] else 0))
        return found

    @property
    def is_object(self) -> bool:
        """Whether it is fed batch by batch."""
        return bool(self.names["update"])

    def raw(self, inputs: Inputs, module: Any = None) -> Any:
        """The value of one batch, on its own."""
        return torch.tensor(self.values([inputs], module))

    def values(self, batches: list[Inputs], metric: Any = None) -> list[float]:
        """The numbers that it gives for batches in turn, from a fresh start."""
        return self.numbers(self.fed(batches, metric))

    def fed(self, batches: list[Inputs], metric: Any = None) -> Any:
        """The object after some batches; for a function, its result for the last."""
        component = self.fresh() if metric is None else metric
        if not self.is_object:
            return [self._pass(component, batch) for batch in batches][-1]
        for batch in batches:
            self._pass(getattr(component, self.names["update"]), batch)
        return component

    def _pass(self, function: Any, batch: Inputs) -> Any:
        try:
            names = set(inspect.signature(function).parameters)
        except (TypeError, ValueError):
            names = set()
        return function(**batch) if set(batch) <= names else function(*batch.values())

    def numbers(self, state: Any) -> list[float]:
        """What `compute` returns, as numbers in a fixed order."""
        if not self.is_object:
            return _flat(state)
        function = self._outside() if not self.names["compute"] else getattr(state, self.names["compute"])
        if not callable(function):
            return _flat(function)
        wanted = [n for n, p in inspect.signature(function).parameters.items() if p.default is p.empty]
        return _flat(function(*[getattr(state, name) for name in wanted if hasattr(state, name)]))

    def by_name(self, inputs: Inputs) -> dict[str, list[float]]:
        """The numbers of a batch by name, where it returns a dictionary."""
        state = self.fed([inputs])
        result = getattr(state, self.names["compute"], None) if self.is_object else state
        result = self.attempt(result) if callable(result) else result
        return {str(key): _flat(value) for key, value in result.items()} if isinstance(result, dict) else {}

    def _outside(self) -> Any:
        """A function of the module that turns the object's counters into numbers, by the name of its one argument."""
        kept = set(vars(self.builder.build())) if self.builder.is_class else set()
        for value in vars(self.builder.module).values():
            if inspect.isfunction(value) and value.__module__ == self.builder.module.__name__:
                names = list(inspect.signature(value).parameters)
                if len(names) == 1 and names[0] in kept and not value.__name__.startswith("_"):
                    return value
        return None

    def need_object(self) -> None:
        """Skip for a plain function.

        Raises:
            Skip: It is one.
        """
        if self.meter:
            raise Skip("a running average of numbers")
        if not self.is_object:
            raise Skip("a function: nothing is accumulated")

    def named(self) -> str:
        """Its name and its documentation's first words, for what it is."""
        return str(self.builder.target.__name__)

    def snake(self) -> str:
        """Its name in snake case."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", self.named()).lower()

    def copy(self, metric: Any) -> Any:
        """An independent copy of an object with its state."""
        return copy.deepcopy(metric)


def _single(name: str) -> Spec:
    return Spec(name, ("B",), "real")


def _flat(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for key in sorted(value, key=str) for number in _flat(value[key])]
    if isinstance(value, (list, tuple)):
        return [number for part in value for number in _flat(part)]
    if isinstance(value, Tensor):
        return [float(v) for v in judge.wide(value).flatten()]
    if hasattr(value, "tolist"):
        return _flat(value.tolist())
    return [float(value)] if isinstance(value, (int, float)) and not isinstance(value, bool) else []


def close(a: list[float], b: list[float], tolerance: float = 1e-4) -> bool:
    """Whether two results agree, nan agreeing with nan."""
    if len(a) != len(b):
        return False
    return all((math.isnan(x) and math.isnan(y)) or judge.close(x, y, tolerance, 1e-6) for x, y in zip(a, b))


def show(values: list[float]) -> str:
    """A result in a few characters."""
    return ", ".join(f"{value:.5g}" for value in values[:4]) + (", ..." if len(values) > 4 else "")


def state_of(metric: Any) -> dict[str, Any]:
    """The tensors that a metric keeps, by attribute."""
    found = {k: v for k, v in vars(metric).items() if isinstance(v, Tensor)}
    if isinstance(metric, nn.Module):
        found.update(dict(metric.named_buffers()))
    return found
