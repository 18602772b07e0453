"""A training piece under examination: an optimizer, a schedule, a function that makes groups, or an average (EMA)."""

from __future__ import annotations

import inspect
import re
from typing import Any, Callable

import torch
from torch import Tensor, nn

from .build import Builder
from .contract import Contract
from .core import Broken, Skip, Subject, reseed
from .source import Source

_SCHEDULER = getattr(torch.optim.lr_scheduler, "LRScheduler", torch.optim.lr_scheduler._LRScheduler)
_WARMUP = r"(num_)?warm_?up(_steps|_iters|_epochs|_iterations|_updates)?"
_TOTAL = (
    r"(num_)?(lr_)?(total|max|training|num_training|decay|train)_?(steps|iters|iterations|epochs|updates)|"
    r"T_max|t_max|total|num_steps"
)
_LOW = r"(min|final|end)_lr|eta_min|min_lr_(ratio|factor)|final_(ratio|factor)|min_(ratio|factor)|floor"
_PEAK = r"peak|base_lr|max_lr|peak_lr|lr|learning_rate"


def suits(value: Any) -> float:
    """How much a definition looks like a training piece."""
    name = value.__name__
    if inspect.isclass(value):
        if issubclass(value, (torch.optim.Optimizer, _SCHEDULER)):
            return 4.0
        if re.search(r"ema|averag|sched|lr|warm|optim", name, re.I):
            return 3.0
        return 1.0 if hasattr(value, "step") or hasattr(value, "update") else 0.3
    return 2.0 if re.search(r"optim|group|param|sched|lr|warm|cosine|decay|ema|learning", name, re.I) else 0.5


class Net(nn.Module):
    """A small network with everything that groups and averages must treat: norms, biases, buffers, a frozen layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 8)
        self.first = nn.Linear(8, 8)
        self.bn = nn.BatchNorm1d(8)
        self.norm = nn.LayerNorm(8)
        self.frozen = nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)
        for parameter in self.frozen.parameters():
            parameter.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores `(B, 3)` of vectors `(B, 8)`."""
        out: Tensor = self.head(self.norm(self.frozen(self.bn(self.first(x + self.embedding.weight[0])).relu())))
        return out


class OptimizerCase(Subject):
    """The piece and its form.

    Attributes:
        form: "optimizer", "scheduler", "rate" (a function of the step), "groups" or "ema".
        needs_closure: Whether an optimizer evaluates the loss itself, as those of two evaluations a step do.
        total: The length of a schedule.
        warmup: The length of its warm-up.
    """

    def __init__(self, builder: Builder, contract: Contract, source: Source) -> None:
        self.builder = builder
        self.contract = contract
        self.source = source
        self.form = ""
        self.total = int(contract.get("total_steps", 20))
        self.warmup = int(contract.get("warmup_steps", 5))
        self.peak = float(contract.get("base_lr", 0.1))
        self.low: float | None = contract.get("min_lr")
        self.needs_closure = False

    def prepare(self) -> None:
        """Settle the form, and that it can be used once.

        Raises:
            Broken: It has no form that is known.
        """
        target = self.builder.target
        names = list(inspect.signature(target).parameters) if callable(target) else []
        self.builder.parameters = dict(inspect.signature(target).parameters)
        self.form = self._form(target, names)
        if not self.form:
            fix = "Name an optimizer, a schedule, a function of groups or an EMA in contract.target."
            raise Broken(str(target)[:60], "an optimizer, schedule, groups or EMA", "Its form is unknown.", fix)
        self.contract.assume(f"form: {self.form}")
        try:
            self._use_once()
        except (Broken, Skip):
            raise
        except Exception as error:
            where = self.source.raised_at(error) or "the call"
            fix = f"Correct {where}, or give contract.init."
            raise Broken(f"{type(error).__name__}: {error}", "it works once", f"Raised at {where}.", fix) from error

    def _form(self, target: Any, names: list[str]) -> str:
        first = names[0] if names else ""
        if inspect.isclass(target) and issubclass(target, torch.optim.Optimizer):
            return "optimizer"
        if re.fullmatch(r"(optimizer|optim|opt)", first):
            return "scheduler"
        if re.fullmatch(r"(step|current_step|it|iteration|epoch|t|i|global_step|steps)", first):
            return "rate"
        if inspect.isclass(target) and re.fullmatch(r"model|module|net|network|source|parameters|params", first):
            return "optimizer" if hasattr(target, "zero_grad") and not issubclass(target, nn.Module) else "ema"
        if re.fullmatch(r"model|module|net|network|named_parameters|params|parameters", first):
            return "groups"
        return "rate" if inspect.isclass(target) and any("__call__" in vars(b) for b in target.__mro__) else ""

    def _use_once(self) -> None:
        if self.form == "optimizer":
            try:
                self.stepped(1)
            except (TypeError, AssertionError, RuntimeError, ValueError):
                self.needs_closure = "closure" in inspect.signature(self.builder.target.step).parameters
                self.stepped(1)
        elif self.form in ("scheduler", "rate"):
            self.trace(2)
        elif self.form == "groups":
            self.groups(Net())
        else:
            self.average(Net())

    def need(self, *forms: str) -> None:
        """Skip unless the piece has one of these forms.

        Raises:
            Skip: It has another.
        """
        if self.form not in forms:
            raise Skip(f"applies to {', '.join(forms)}; this is {self.form}")

    def arguments(self, skip: int = 1, **changes: Any) -> dict[str, Any]:
        """Keyword arguments after the first: the contract's, those of schedules by name, guesses for the rest."""
        given = {name: self.builder.value(value) for name, value in (self.contract.get("init") or {}).items()}
        found: dict[str, Any] = {}
        for name, parameter in list(self.builder.parameters.items())[skip:]:
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                continue
            if name in given:
                found[name] = given[name]
            elif self._scheduled(name) is not None and self.form in ("scheduler", "rate"):
                found[name] = self._scheduled(name)
            elif parameter.default is parameter.empty:
                found[name] = 0.1 if re.fullmatch(_PEAK, name) else self.builder.guess(name, parameter)
        return {**found, **changes}

    def _scheduled(self, name: str) -> Any:
        parameter = self.builder.parameters[name]
        if re.fullmatch(_WARMUP, name, re.I):
            return self.warmup
        if re.fullmatch(_TOTAL, name, re.I):
            return self.total
        if parameter.default is not parameter.empty:
            return None
        if re.fullmatch(_LOW, name, re.I):
            return 0.01
        return self.peak if re.fullmatch(_PEAK, name) else None

    # Optimizers.

    def make_optimizer(self, parameters: Any, **changes: Any) -> Any:
        """The user's optimizer over parameters or groups."""
        reseed()
        return self.builder.target(parameters, **self.arguments(**changes))

    def stepped(
        self, steps: int, optimizer: Any = None, parameters: Any = None, **changes: Any
    ) -> tuple[Any, list[Tensor]]:
        """An optimizer after some steps on a quadratic, with its parameters."""
        if parameters is None:
            parameters = start()
            optimizer = self.make_optimizer(parameters, **changes)
        for _ in range(steps):
            self.step(optimizer, lambda: quadratic(parameters))
        return optimizer, parameters

    def step(self, optimizer: Any, loss: Callable[[], Tensor]) -> None:
        """One step on a loss, which the optimizer evaluates where it asks for that."""

        def closure() -> Tensor:
            optimizer.zero_grad()
            value = loss()
            value.backward()
            return value

        if self.needs_closure:
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()

    def need_plain_steps(self) -> None:
        """Skip an optimizer that takes no step on gradients that are there already.

        Raises:
            Skip: It evaluates the loss itself.
        """
        if self.needs_closure:
            raise Skip("it evaluates the loss itself")

    # Schedules.

    def schedule(self, rate: float | None = None, groups: int = 1) -> tuple[Any, Any]:
        """A fresh optimizer and the user's schedule on it."""
        rate = self.peak if rate is None else rate
        weights = [nn.Parameter(torch.ones(2)) for _ in range(groups)]
        optimizer = torch.optim.SGD([{"params": [w], "lr": rate * 10**-i} for i, w in enumerate(weights)], lr=rate)
        return optimizer, self.builder.target(optimizer, **self.arguments())

    def trace(self, steps: int) -> list[float]:
        """The learning rate (or factor) at every step from 0 on."""
        if self.form == "rate":
            function = self.rate()
            return [float(function(step)) for step in range(steps)]
        optimizer, schedule = self.schedule()
        rates = []
        for _ in range(steps):
            rates.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            try:
                schedule.step()
            except ValueError:
                if len(rates) < self.total:
                    raise
                # It refuses to go past its end, which is as good as staying there.
                return rates + [rates[-1]] * (steps - len(rates))
        return rates

    def rate(self) -> Callable[[int], Any]:
        """The schedule as a function of the step."""
        if inspect.isclass(self.builder.target):
            made = self.builder.target(**self.arguments(skip=0))
            function: Callable[[int], Any] = made if callable(made) else getattr(made, "get_lr")  # noqa: B009
            return function
        arguments = self.arguments()
        return lambda step: self.builder.target(step, **arguments)

    # Groups and averages.

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """The groups that the user's function makes of a model.

        Raises:
            Broken: It makes none.
        """
        first = next(iter(self.builder.parameters))
        given: Any = model.named_parameters() if "named" in first else model
        if first in ("params", "parameters"):
            given = list(model.parameters())
        made = self.builder.target(given, **self.arguments())
        if isinstance(made, (tuple, list)) and made and hasattr(made[0], "param_groups"):
            made = made[0]
        found = getattr(made, "param_groups", made)
        if not isinstance(found, (list, tuple)) or not all(isinstance(group, dict) for group in found):
            raise Broken(
                type(made).__name__, "groups or an optimizer", "It returns neither.", "Return a list of groups."
            )
        return list(found)

    def average(self, model: nn.Module, **changes: Any) -> Any:
        """The user's average of a model."""
        return self.builder.target(model, **self.arguments(**changes))


def start() -> list[nn.Parameter]:
    """Two parameters away from the optimum."""
    generator = torch.Generator().manual_seed(2)
    return [
        nn.Parameter(torch.randn(4, 3, generator=generator) + 2),
        nn.Parameter(torch.randn(3, generator=generator) - 2),
    ]


def quadratic(parameters: list[nn.Parameter]) -> Tensor:
    """A quadratic with curvatures from 0.2 to 2, lowest at 0.5: elsewhere than where weight decay leads."""
    total = torch.zeros(())
    for parameter in parameters:
        curvature = torch.linspace(0.2, 2.0, parameter.numel()).view_as(parameter)
        total = total + (curvature * (parameter - 0.5).square()).sum()
    return total
