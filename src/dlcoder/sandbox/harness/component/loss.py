"""A loss under examination: what it takes, how to call it, and the line to blame."""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import re
from dataclasses import replace
from typing import Any, Callable

import torch
from torch import Tensor, nn

from . import judge, values
from .build import Builder
from .call import needed, scalar, signature_of
from .contract import Contract, Spec, is_prediction, is_target
from .core import Broken, Skip, Subject, reseed
from .layouts import BINARY, INDEXED, Guess, family_of, guesses
from .pairing import Fields, Pair, assembled, fields
from .roles import MEAN, SPREAD
from .source import Source

Inputs = dict[str, Tensor]
_TRUTH = re.compile(r"^(?:targets?|gt|true)_|_(?:targets?|labels?|gt|true)$")
_LEARNED = ("real", "logits", "boxes", "unit")
_IGNORES = (
    "ignore_index",
    "ignore_label",
    "ignore_value",
    "ignore_id",
    "void_label",
    "pad_id",
    "pad_idx",
    "pad_index",
    "padding_idx",
    "pad_token_id",
    "pad_token",
)
"""Arguments and attributes that hold the ignored label."""
_IGNORED = (255, -100, -1)
"""Numbers that stand for no class wherever they are used as labels."""


def suits(value: Any) -> int:
    """How much a definition looks like a loss."""
    name = value.__name__.lower()
    score = 3 if "loss" in name or "criterion" in name else 0
    if inspect.isclass(value):
        score += 2 if issubclass(value, nn.Module) and "forward" in vars(value) else 0
        score += 1 if issubclass(value, nn.Module) else 0
        return score
    return score + (1 if len(inspect.signature(value).parameters) >= 1 else 0)


def _fixed(parameter: inspect.Parameter) -> Any:
    """What a required argument of a call that is no tensor is given: a criterion, or a number between 0 and 1."""
    annotated = str(parameter.annotation)
    if re.fullmatch(r"criterion|loss_?(fn|func|function)|base_?loss|crit|objective", parameter.name):
        return nn.functional.cross_entropy
    number = re.fullmatch(r"lam|lmbda|lambda_|lamb|mix\w*|ratio|alpha|beta|gamma|temperature|tau|eps", parameter.name)
    return 0.3 if (number and "Tensor" not in annotated) or annotated in ("<class 'float'>", "float") else None


class _Field(inspect.Parameter):
    """A parameter that may be called "outputs.box"."""

    def __init__(self, name: str, kind: Any) -> None:
        super().__init__("field", kind)
        self._name = name


class LossCase(Subject):
    """The loss, its inputs and its family.

    Attributes:
        family: The layout of its inputs (see `layouts.py`), empty if unknown.
        specs: One per input.
        pred: The name of the prediction.
        target: The name of the truth, empty if there is none.
        extras: Names of further inputs.
    """

    method = "forward"

    def __init__(self, builder: Builder, contract: Contract, source: Source) -> None:
        self.builder = builder
        self.contract = contract
        self.source = source
        self.family = ""
        self.specs: list[Spec] = []
        self.pred = ""
        self.target = ""
        self._module: Any = None
        self.pairs: tuple[Pair, ...] = ()
        self._fields: dict[str, Fields] = {}
        self._written: int | None = None
        self._bound: dict[str, Any] = {}

    def prepare(self) -> None:
        """Settle what the loss takes, by the contract or by trying.

        Raises:
            Broken: It cannot be built, or nothing that was tried can be passed to it.
        """
        self.builder.prepare()
        self.builder.adopt_sizes()
        module = self.fresh()
        stated = self.contract.specs()
        named = tuple(spec.name for spec in stated or ())
        parameters = self._unbound(needed(module, self.method, named), named)
        if stated:
            self._use(Guess("", tuple(self._match(stated, parameters)), 0))
            self._try()
        else:
            self._search(self._candidates(parameters))
        if self.ignore_index is None and self.target:
            self._written = self._written_label()
            if self._written is not None:
                self.contract.assume(f"ignore_index {self._written}, which the code compares {self.target} with")

    def _unbound(self, parameters: list[inspect.Parameter], named: tuple[str, ...]) -> list[inspect.Parameter]:
        """The parameters that take tensors; a criterion and a mixing ratio among them are given a fixed value."""
        left = []
        for parameter in parameters:
            value = _fixed(parameter) if parameter.name not in named else None
            if value is None:
                left.append(parameter)
            else:
                self._bound[parameter.name] = value
                self.contract.assume(f"{parameter.name}={getattr(value, '__name__', value)}")
        return left if len(left) >= 2 else parameters

    def _written_label(self) -> int | None:
        """The ignored label as the code writes it: `target != 255`, or `ignore_index=255` in a call."""
        for node in [*self.source.passed("ignore_index"), *self.source.compared(self.target)]:
            value: Any = None
            if isinstance(node, ast.Name):
                value = vars(self.builder.module).get(node.id)
            elif isinstance(node, ast.Attribute):
                value = getattr(self.module, node.attr, None)
            else:
                with contextlib.suppress(ValueError):
                    value = ast.literal_eval(node)
            if type(value) is int and value in _IGNORED:
                return value
        return None

    def _candidates(self, parameters: list[inspect.Parameter]) -> list[Guess]:
        self._count_quantiles()
        return guesses(self._expanded(parameters), self.builder.target.__name__, self.source)

    def _expanded(self, parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
        """The parameters, dictionaries and records among them as one for each field that the code reads."""
        node = self.source.node_in_focus()
        self._fields = fields(node, [p.name for p in parameters]) if node is not None else {}
        found: list[inspect.Parameter] = []
        for parameter in parameters:
            names = self._fields[parameter.name].names if parameter.name in self._fields else ()
            found += [_Field(f"{parameter.name}.{name}", parameter.kind) for name in names] or [parameter]
        return found

    def _count_quantiles(self) -> None:
        """Let Q be the number of quantiles that the constructor or the call was given."""
        for name in ("quantiles", "taus", "quantile_levels"):
            for given in (self.builder.default(name), self.call_default(name)):
                if isinstance(given, (list, tuple)) and "Q" not in self.contract.given_sizes():
                    self.contract.sizes["Q"] = len(given)

    def _match(self, stated: list[Spec], parameters: list[inspect.Parameter]) -> list[Spec]:
        """The stated inputs under the parameters' own names: by name, else by position."""
        names = [p.name for p in parameters]
        if all(spec.name in names for spec in stated):
            return sorted(stated, key=lambda spec: names.index(spec.name))
        if len(names) >= len(stated):
            self.contract.assume(
                f"inputs {', '.join(s.name for s in stated)} passed as {', '.join(names[: len(stated)])}"
            )
            return [replace(spec, name=name) for spec, name in zip(stated, names)]
        fix = f"Name the inputs in contract.inputs as the code does: {', '.join(names)}."
        raise Broken(
            ", ".join(s.name for s in stated), ", ".join(names), "The contract's inputs are not its parameters.", fix
        )

    def _use(self, guess: Guess) -> None:
        self.specs = list(guess.specs)
        by_name = {spec.name: spec for spec in self.specs}
        names = list(by_name)
        self.pred = next((n for n in names if is_prediction(n)), names[0] if names else "")
        rest = [n for n in names if n != self.pred]
        teacher = next((n for n in rest if "teacher" in n), None)
        self.target = teacher or next((n for n in rest if is_target(n)), rest[0] if rest else "")
        self.pairs = guess.pairs
        if self.pairs:
            self.pred, self.target = self.pairs[0].pred, self.pairs[0].target
        self.family = guess.family or family_of(by_name.get(self.pred), by_name.get(self.target))

    def _try(self) -> None:
        try:
            self.raw(self.inputs())
        except Exception as error:
            raise self._refused(error) from error

    def _refused(self, error: BaseException) -> Broken:
        shapes = ", ".join(f"{spec.name} {self.contract.shape(spec.shape)} {spec.role}" for spec in self.specs)
        where = self.source.raised_at(error) or "the call"
        fix = f"Correct {where}, or state other shapes in contract.inputs."
        return Broken(
            f"{type(error).__name__}: {error}", "no exception", f"Called with {shapes}, it raised at {where}.", fix
        )

    def _search(self, candidates: list[Guess]) -> None:
        """Take the likeliest candidate that runs; one with a finite, connected value before one without."""
        ran: Guess | None = None
        first: Broken | None = None
        for guess in candidates:
            self._use(guess)
            try:
                value = scalar(self.raw(self.inputs()))
            except Exception as error:
                first = first or self._refused(error)
                continue
            if value is None:
                continue
            ran = ran or guess
            if value.requires_grad and judge.finite(value) and value.numel() > 0:
                ran = guess if guess.score > ran.score - 2 else ran
                break
        if ran is None:
            raise first or Broken("nothing", "a tensor", "It returns no tensor.", "Return the loss as a scalar tensor.")
        self._use(ran)
        for spec in self.specs:
            shape = ", ".join(map(str, spec.shape))
            self.contract.assume(f"{spec.name}: ({shape}) {spec.role}")

    # Building and calling.

    def is_called(self, words: str) -> bool:
        """Whether the name of the loss, in snake case, holds one of the words."""
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", self.builder.target.__name__)
        return bool(re.search(words, name, re.I))

    def with_argument(self, names: str, value: Any) -> Any:
        """The loss with one of these arguments, of the constructor or else of the call, at a value; None without."""
        name = next((n for n in self.builder.parameters if re.fullmatch(names, n)), None)
        if name is not None:
            return self.attempt(lambda: self.fresh(**{name: value}))
        signature = None if self.builder.is_class else signature_of(self.module)
        given = [spec.name for spec in self.specs]
        free = [n for n in (signature.parameters if signature else ()) if re.fullmatch(names, n) and n not in given]
        return functools.partial(self.module, **{free[0]: value}) if free else None

    def fresh(self, **changes: Any) -> Any:
        """A new instance, equally initialised."""
        built = self.builder.build(**changes)
        return built.train() if isinstance(built, nn.Module) else built

    @property
    def module(self) -> Any:
        """One instance for the checks that leave it as it is."""
        if self._module is None:
            self._module = self.fresh()
        return self._module

    def spec(self, name: str) -> Spec:
        """The input of that name."""
        return next(spec for spec in self.specs if spec.name == name)

    def inputs(self, seed: int = 1, sizes: dict[str, int] | None = None, **changed: int) -> Inputs:
        """Draw inputs; `changed` sets sizes by symbol, as in `inputs(B=1)`."""
        table = {**self.contract.sizes, **(sizes or {}), **changed}
        generator = torch.Generator().manual_seed(seed)
        drawn = {spec.name: values.make(spec, self.contract, generator, table) for spec in self.specs}
        if self.family in INDEXED and (label := self.ignore_index) is not None and self.target in drawn:
            # A label that is also ignored, as padding of index 0 is, takes no part in ordinary inputs.
            drawn[self.target][drawn[self.target] == label] = self.counted_labels()[0]
        for spec in self.specs:
            if spec.role == "pair" and self.pred in drawn:
                drawn[spec.name] = drawn[self.pred] + 0.3 * drawn[spec.name]
        return drawn

    def batch_axes(self) -> dict[str, int]:
        """For each input that has one, the dimension that counts samples."""
        axes = {}
        for spec in self.specs:
            shape = [str(entry) for entry in spec.shape]
            for symbol in ("B", "N"):
                if symbol in shape:
                    axes[spec.name] = shape.index(symbol)
                    break
            else:
                if shape and all(entry.isdigit() for entry in shape):
                    axes[spec.name] = 0
        return axes

    def raw(self, inputs: Inputs, module: Any = None) -> Any:
        """Call the loss; the prediction is part of a graph."""
        component = self.module if module is None else module
        inputs = dict(inputs)
        if self.pred and inputs[self.pred].is_floating_point() and not inputs[self.pred].requires_grad:
            # Not a leaf, as in training: writing to it in place is possible, and noticed.
            inputs[self.pred] = inputs[self.pred].detach().clone().requires_grad_() * 1
        self.note("input", inputs)
        plain = signature_of(component) is None or self._positional(component)
        arguments = assembled(inputs, self._fields)
        if self._bound and signature_of(component) is not None:
            component = functools.partial(component, **self._bound)
            names = list(inspect.signature(component).parameters)
            plain = plain or not set(arguments) <= set(names)
        result = component(*arguments.values()) if plain else component(**arguments)
        self.note("output", result)
        return result

    def _positional(self, component: Any) -> bool:
        signature = signature_of(component)
        assert signature is not None
        known = {n for n, p in signature.parameters.items() if p.kind not in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL)}
        return not all(spec.name.split(".")[0] in known for spec in self.specs)

    def loss(self, inputs: Inputs, module: Any = None) -> Tensor:
        """The loss as one number: the mean where it returns more than one."""
        value = scalar(self.raw(inputs, module))
        if value is None:
            raise Skip("it returns no tensor (see output)")
        return value if value.dim() == 0 else value.mean()

    def value(self, inputs: Inputs, module: Any = None) -> float:
        """The loss as a float."""
        return judge.number(self.loss(inputs, module))

    def value_and_grad(self, inputs: Inputs, module: Any = None, name: str = "") -> tuple[float, Tensor | None]:
        """The loss and its gradient with respect to an input, by default the prediction; None where none flows."""
        name = name or self.pred
        leaf = inputs[name].detach().clone().requires_grad_()
        value = self.loss({**inputs, name: leaf * 1}, module)
        if not value.requires_grad:
            return judge.number(value), None
        gradient = judge.gradients(value, [leaf])[0]
        self.note("gradient", {name: gradient})
        return judge.number(value), gradient

    def perfect(self, inputs: Inputs, strength: float = 10.0, shift: int = 0) -> Inputs:
        """Inputs whose prediction agrees with the truth (or with the truth's class plus `shift`)."""
        pred, target = inputs[self.pred], inputs[self.target]
        role = self.spec(self.pred).role
        if self.family in INDEXED:
            labels = torch.roll(self._plain_labels(inputs), -self.ahead, dims=-1)
            hot = nn.functional.one_hot((labels + shift) % self.classes, self.classes).movedim(-1, self.class_dim)
            certain = hot.to(pred.dtype)
        else:
            certain = target.to(pred.dtype) if shift == 0 else 1 - target.to(pred.dtype)
        if role in ("unit", "probs"):
            return {**inputs, self.pred: certain.clamp(1e-4, 1 - 1e-4)}
        return {**inputs, self.pred: (certain * 2 - 1) * strength}

    @property
    def ahead(self) -> int:
        """How many positions later the label of a prediction stands: 1 where the loss itself shifts tokens."""
        code = self.source.code()
        shifts = re.search(r":\s*-1\b", code) and re.search(r"\b1\s*:", code)
        return 1 if self.family == "tokens" and shifts else 0

    def _plain_labels(self, inputs: Inputs) -> Tensor:
        labels = inputs[self.target]
        return labels[:, 0] if self.family == "pixels1" else labels

    @property
    def class_dim(self) -> int:
        """The dimension of the prediction that holds the classes."""
        return -1 if self.family == "tokens" else 1

    @property
    def classes(self) -> int:
        """The number of classes."""
        return self.contract.shape(self.spec(self.pred).shape)[self.class_dim]

    # What the loss says about itself.

    @property
    def ignore_index(self) -> int | None:
        """The ignored label: the contract's, the constructor's, or the attribute's."""
        if self.family not in INDEXED:
            return None
        named = [
            value
            for name in _IGNORES
            for value in (self.builder.default(name), getattr(self.module, name, None), self.call_default(name))
        ]
        for value in (self.contract.ignore_index, *named, self._written):
            if isinstance(value, int) and not isinstance(value, bool):
                return value
        return None

    def counted_labels(self) -> list[int]:
        """The labels of classes that are not ignored."""
        return [label for label in range(self.classes) if label != self.ignore_index]

    def call_default(self, name: str) -> Any:
        """The default of an argument of the call, None if there is none."""
        signature = signature_of(self.module)
        parameter = signature.parameters.get(name) if signature else None
        return None if parameter is None or parameter.default is parameter.empty else parameter.default

    @property
    def reduction(self) -> str:
        """The declared reduction, empty if nothing declares one."""
        for value in (
            self.contract.get("reduction"),
            self.builder.default("reduction"),
            self.call_default("reduction"),
            getattr(self.module, "reduction", None),
        ):
            if value is not None and not callable(value):
                return str(getattr(value, "value", value)).lower()
        return ""

    def ignoring(self, inputs: Inputs, where: Tensor, ignore: int | None = None) -> Inputs:
        """The inputs with the truth ignored where the mask says so."""
        label = self.ignore_index if ignore is None else ignore
        assert label is not None
        target = inputs[self.target].clone()
        target[where] = label
        return {**inputs, self.target: target}

    def require(self, *families: str) -> None:
        """Skip unless the family is one of these.

        Raises:
            Skip: It is another.
        """
        if self.family not in families:
            raise Skip(f"applies to {_plural(families)}; this loss takes {self.family or 'other inputs'}")

    def twins(self) -> list[str]:
        """Further predictions, known by a target of their own: box_pred beside box_target, reg beside target_reg."""
        words = r"pred(?:iction)?s?|logits?|hat|outputs?|out"
        truths = {_TRUTH.sub("", spec.name) for spec in self.specs if _TRUTH.search(spec.name)}
        found = [pair.pred for pair in self.pairs[1:] if pair.pred != self.pred]
        for spec in self.specs:
            base = re.sub(rf"^(?:{words})_|_(?:{words})$", "", spec.name)
            fixed = _TRUTH.search(spec.name) or re.search(r"teacher|old|ref|prior|ema|frozen", spec.name)
            if spec.name not in (self.pred, *found) and not fixed and base in truths and spec.role in _LEARNED:
                found.append(spec.name)
        return found

    def posterior(self) -> list[str]:
        """Mean and log-variance of a latent beside a reconstruction: a term of their own, 0 where both are 0."""
        names = [s.name for s in self.specs if s.name not in (self.pred, self.target)]
        mean = [n for n in names if re.fullmatch(MEAN, n.lower())]
        spread = [n for n in names if re.fullmatch(SPREAD, n.lower())]
        return [*mean, *spread] if mean and spread else []

    def has_truth(self) -> bool:
        """Whether the second input is meant as the truth, by its name or by the contract's word."""
        given = (self.contract.get("inputs") or {}).get(self.target)
        rebuilt = "recon" in self.pred and self.target in ("x", "input", "inputs", "image", "images", "original")
        return (
            is_target(self.target.split(".")[-1])
            or rebuilt
            or bool(self.pairs)
            or (isinstance(given, dict) and "role" in given)
        )

    def has_truth_or_pair(self) -> bool:
        """Whether there are a prediction in numbers and something to compare it with."""
        return bool(self.target) and self.spec(self.pred).role in ("real", "logits", "unit")

    def plain_extras(self) -> bool:
        """Whether every further input is one that leaves the loss's meaning alone (weights, masks)."""
        held = {name for pair in self.pairs for name in (pair.pred, pair.target)}
        held |= set(self.posterior())
        extra = [s for s in self.specs if s.name not in (self.pred, self.target, *held)]
        return all(spec.role in ("weights", "boolmask", "positive", "lengths") for spec in extra)

    def attempt(self, function: Callable[[], Any]) -> Any:
        """The result of a call, or None if it raises."""
        reseed()
        try:
            return function()
        except Exception:
            return None


def _plural(families: tuple[str, ...]) -> str:
    if set(families) == set(INDEXED):
        return "losses with class indices"
    if set(families) <= set(BINARY):
        return "losses with 0/1 targets"
    return ", ".join(families)
