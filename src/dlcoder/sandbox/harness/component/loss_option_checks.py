"""Checks of a loss's constructor: reductions, weights, smoothing, focusing, parameters without effect."""

from __future__ import annotations

import math
import re
import time
from typing import Any

import torch
from torch import Tensor

from . import judge
from .call import scalar, signature_of
from .core import Broken, Measured, Skip
from .layouts import BINARY, INDEXED
from .loss import Inputs, LossCase
from .loss_checks import check
from .loss_target_checks import ignores

_TINY = r"eps|epsilon|smooth\w*|smooth_nr|smooth_dr"


@check("reduction-modes")
def reduction_modes(case: LossCase) -> Measured:  # noqa: C901
    """The three values of `reduction` agree with each other."""
    if "reduction" not in case.builder.parameters:
        raise Skip("the constructor takes no reduction")
    modules = {mode: case.attempt(lambda m=mode: case.fresh(reduction=m)) for mode in ("none", "mean", "sum")}  # type: ignore[misc]
    inputs = case.inputs()
    for mode, module in modules.items():
        if module is None or case.attempt(lambda m=module: case.value(inputs, m)) is None:  # type: ignore[misc]
            continue
        if case.value_and_grad(inputs, module)[1] is None and case.value_and_grad(inputs)[1] is not None:
            raise _wrong_mode(case, mode, "no gradient", "a gradient in every mode")
    if modules["none"] is None:
        return _mean_and_sum(case, inputs, modules)
    parts = case.attempt(lambda: scalar(case.raw(inputs, modules["none"])))
    if parts is None or parts.dim() == 0:
        if parts is None or not _offers_none(case):
            return _mean_and_sum(case, inputs, modules)
        raise _wrong_mode(case, "none", "one number", "one value per element")
    expected = {"sum": judge.total(parts), "mean": judge.total(parts) / max(parts.numel(), 1)}
    for mode, value in expected.items():
        if modules[mode] is None:
            continue
        got = case.value(inputs, modules[mode])
        if not judge.close(got, value, 1e-3, 1e-6) and not (
            _weighted(case, got, parts) if mode == "mean" else _spatial(case, got, parts)
        ):
            raise _wrong_mode(case, mode, f"{got:.6g}", f"{value:.6g}, from reduction='none'")
    return Measured("mean and sum follow from none", "equal")


def _mean_and_sum(case: LossCase, inputs: Inputs, modules: dict[str, Any]) -> Measured:
    """Without 'none': the sum is the mean times a number of elements."""
    if modules["mean"] is None or modules["sum"] is None or not case.target:
        raise Skip("it offers one reduction only")
    mean, total = case.value(inputs, modules["mean"]), case.value(inputs, modules["sum"])
    counts = {len(inputs[case.target]), inputs[case.target].numel(), inputs[case.pred].numel()}
    if not any(judge.close(total, mean * n, 1e-3, 1e-6) for n in counts) and not case.source.mentions(("weight",)):
        raise _wrong_mode(case, "sum", f"{total:.6g}", f"the mean, {mean:.6g}, times the number of elements")
    return Measured(f"{total:.5g} = {mean:.5g} x n", "the sum is n times the mean")


def _spatial(case: LossCase, got: float, parts: Tensor) -> bool:
    """Whether the sum is one over the means of maps, as some document."""
    per_map = parts.flatten(2).mean(dim=2) if parts.dim() > 2 else parts
    return judge.close(got, judge.total(per_map), 1e-3, 1e-6) and case.source.mentions(("average", "spatial"))


def _offers_none(case: LossCase) -> bool:
    """Whether annotation, documentation or code speak of reduction="none"."""
    annotation = str(case.builder.parameters["reduction"].annotation)
    if "Literal" in annotation:
        return "none" in annotation
    named = [bool(re.search(rf"==\s*[\"']{mode}[\"']", case.source.code())) for mode in ("mean", "sum")]
    # Whoever tells "mean" and "sum" apart from the rest, without refusing the rest, offers a third mode.
    return all(named) or bool(re.search(r"[\"'`]none[\"'`]", case.source.text, re.I))


def _weighted(case: LossCase, got: float, parts: Tensor) -> bool:
    """Whether the mean is one by another documented divisor: weights, or the batch."""
    batch = judge.total(parts) / max(parts.shape[0], 1)
    weighted = any(case.builder.default(name) is not None for name in _WEIGHTS)
    return weighted or (judge.close(got, batch, 1e-3, 1e-6) and case.source.mentions(("batch",)))


def _wrong_mode(case: LossCase, mode: str, measured: str, expected: str) -> Broken:
    line = case.source.point(rf"[\"']{mode}[\"']", r"reduction", r"return")
    why = f"reduction={mode!r} does not return what it says."
    return Broken(measured, expected, why, f"Correct the branch for {mode!r} at {line}.")


_WEIGHTS = ("weight", "weights", "class_weight", "class_weights", "alpha", "pos_weight", "ce_weight")


@check("class-weights")
def class_weights(case: LossCase) -> Measured:
    """A heavier class pulls harder."""
    case.require(*INDEXED)
    name, heavy = _weighted_module(case)
    if heavy is None:
        raise Skip("the constructor takes no class weights")
    inputs = case.inputs(B=3 * case.classes)
    light = case.builder.build(**{name: _as_given(case, name, torch.ones(case.classes))})
    base = _shares(case, inputs, light)
    got = _shares(case, inputs, heavy)
    if base is None or got is None:
        raise Skip("no gradient to compare")
    odds = (got[-1] / max(sum(got[:-1]), 1e-30)) / max(base[-1] / max(sum(base[:-1]), 1e-30), 1e-30)
    line = case.source.point(rf"self\.{name}\b(?!\s*=)", rf"weight=|\b{name}\b", r"cross_entropy|nll")
    if judge.close(odds, 1.0, 1e-4, 1e-6):
        raise Broken(
            "no effect", "class weights count", f"{name} does not change the gradient.", f"Use {name} at {line}."
        )
    if odds < 1.0 or (_additive(case) and not 3 < odds < 8):
        raise Broken(
            f"weight 5 multiplies the class's share by {odds:.3g}",
            "about 5",
            f"{name}[k] does not weigh the elements of class k.",
            f"Index {name} by the target at {line}.",
        )
    if case.ignore_index is not None:
        ignores(case, case.ignore_index, heavy)
    return Measured(f"weight 5 multiplies the class's share by {odds:.3g}", "> 1")


def _weighted_module(case: LossCase) -> tuple[str, Any]:
    weights = torch.ones(case.classes)
    weights[-1] = 5.0
    for name in _WEIGHTS:
        if name in case.builder.parameters and not isinstance(case.builder.default(name), (int, float)):
            given = _as_given(case, name, weights)
            module = case.attempt(lambda n=name, g=given: case.fresh(**{n: g}))  # type: ignore[misc]
            if module is not None and case.attempt(lambda m=module: case.value(case.inputs(), m)) is not None:  # type: ignore[misc]
                return name, module
    return "", None


def _as_given(case: LossCase, name: str, weights: Tensor) -> Any:
    annotation = str(case.builder.parameters[name].annotation)
    if re.search(r"list|Sequence|tuple|Iterable", annotation) and "Tensor" not in annotation:
        return [float(w) for w in weights]
    return weights


def _additive(case: LossCase) -> bool:
    return case.family in ("classes", "pixels", "tokens") and bool(
        re.search(r"cross_?entropy|focal|nll|^ce|smooth", case.builder.target.__name__, re.I)
    )


def _shares(case: LossCase, inputs: Inputs, module: Any) -> list[float] | None:
    """Total absolute gradient at the elements of each class, at uniform logits."""
    flat = {**inputs, case.pred: torch.zeros_like(inputs[case.pred])}
    gradient = case.value_and_grad(flat, module)[1]
    if gradient is None:
        return None
    size = gradient.abs().sum(dim=case.class_dim)
    target = inputs[case.target][:, 0] if case.family == "pixels1" else inputs[case.target]
    return [judge.total(size[target == label]) for label in range(case.classes)]


_SMOOTHING = ("label_smoothing", "smoothing", "smooth_factor", "label_smooth", "smooth_eps")


@check("label-smoothing")
def label_smoothing(case: LossCase) -> Measured:
    """The smoothed value against the one that the plain loss gives for every class."""
    case.require("classes", "pixels", "tokens")
    name = next((n for n in _SMOOTHING if n in case.builder.parameters), None)
    if name is None:
        raise Skip("the constructor takes no label smoothing")
    if any(not isinstance(case.builder.default(n), (int, float, type(None))) for n in _WEIGHTS):
        raise Skip("its classes weigh differently by default, and so does what is spread over them")
    amount = 0.2
    plain, smooth = case.attempt(lambda: case.fresh(**{name: 0.0})), case.attempt(lambda: case.fresh(**{name: amount}))
    if plain is None or smooth is None:
        raise Skip(f"{name} of 0 and {amount} are not both accepted")
    inputs = case.inputs()
    target = inputs[case.target]
    base, got = case.value(inputs, plain), case.value(inputs, smooth)
    every = [case.value({**inputs, case.target: torch.full_like(target, k)}, plain) for k in range(case.classes)]
    uniform = sum(every) / case.classes
    spread = amount / (case.classes - 1)
    accepted = ((1 - amount) * base + amount * uniform, (1 - amount) * base + spread * (sum(every) - base))
    if any(judge.close(got, value, 1e-3, 1e-5) for value in accepted) or not _additive(case):
        return Measured(f"{got:.5g}", f"{accepted[0]:.5g} = (1 - eps) CE + eps mean over classes")
    line = case.source.point(rf"(1(\.0)?\s*-\s*(self\.)?{name})", rf"\b{name}\b(?!\s*[:=])", r"smooth")
    raise Broken(
        f"{got:.5g}",
        f"{accepted[0]:.5g} (mass eps / C on all) or {accepted[1]:.5g} (eps / (C - 1) on the others)",
        f"With {name}={amount} the value is not (1 - eps) times the plain one plus eps times the mean over classes.",
        f"Correct the mixture at {line}.",
    )


@check("focusing")
def focusing(case: LossCase) -> Measured:
    """Gamma = 2 mutes an easy element more than a hard one."""
    case.require(*INDEXED, *BINARY)
    if "gamma" not in case.builder.parameters or "focal" not in case.builder.target.__name__.lower():
        raise Skip("not a focal loss with gamma")
    plain, focal = case.attempt(lambda: case.fresh(gamma=0.0)), case.attempt(lambda: case.fresh(gamma=2.0))
    if plain is None or focal is None or case.spec(case.pred).role != "logits":
        raise Skip("gamma of 0 and 2 are not both accepted")
    inputs = case.inputs()
    ratios = []
    for strength in (0.25, 1.0, 2.0):
        given = case.perfect(inputs, strength)
        base, got = case.value(given, plain), case.value(given, focal)
        ratios.append(got / base if base else float("nan"))
    line = case.source.point(r"\*\*|\.pow\(|torch\.pow", r"gamma(?!\s*[:=])")
    if ratios[0] > ratios[1] > ratios[2] and all(0 <= ratio <= 1.0001 for ratio in ratios):
        return Measured(f"{ratios[0]:.3g}, {ratios[1]:.3g}, {ratios[2]:.3g} of the plain loss", "falling, at most 1")
    raise Broken(
        f"{ratios[0]:.3g}, {ratios[1]:.3g}, {ratios[2]:.3g} of the plain loss, from hard to easy",
        "falling, at most 1",
        "gamma does not mute easy elements.",
        f"The factor is (1 - p_t) ** gamma: correct {line}.",
    )


@check("parameters-count")
def parameters_count(case: LossCase) -> Measured:
    """Every floating argument of the constructor, or of a function, changes the value of some input."""
    tried = []
    for name, default in _numbers(case):
        verdict = _matters(case, name, default)
        if verdict is None:
            continue
        tried.append(name)
        if not verdict and (case.source.conditional(name) or _matters_otherwise(case, name, default)):
            continue
        if not verdict:
            line = case.source.point(rf"self\.\w*{name}\w*\s*=", rf"\b{name}\b")
            raise Broken(
                f"{name} has no effect",
                "an effect on some input",
                f"The loss is the same for every value of {name} that was tried.",
                f"Use {name} where it belongs, or drop it (see {line}); default {default!r}.",
            )
    if not tried:
        raise Skip("no floating argument to vary")
    return Measured(", ".join(tried), "each changes the value")


def _numbers(case: LossCase) -> list[tuple[str, float]]:
    """Floating arguments that have a default, or were given a value, by name."""
    if case.builder.is_class:
        found = [(name, case.builder.default(name)) for name in case.builder.parameters]
    else:
        signature = signature_of(case.module)
        known = {spec.name.split(".")[0] for spec in case.specs}
        options = [p for p in (signature.parameters.values() if signature else ()) if p.name not in known]
        found = [(p.name, p.default) for p in options]
    return [(name, value) for name, value in found if isinstance(value, float) and not _excused(case, name)]


def _matters_otherwise(case: LossCase, name: str, default: float) -> bool:
    """Whether a parameter counts once some switch of the constructor is turned."""
    saved = case.builder.arguments
    until = time.monotonic() + 2
    for other, parameter in case.builder.parameters.items():
        if time.monotonic() > until:
            return True  # undecided: no fault
        if isinstance(parameter.default, bool):
            case.builder.arguments = {**saved, other: not parameter.default}
            try:
                if _matters(case, name, default):
                    return True
            finally:
                case.builder.arguments = saved
    return False


def _excused(case: LossCase, name: str) -> bool:
    """Whether the documentation calls the parameter deprecated or unused."""
    docs = case.source.docs()
    return bool(re.search(rf"{re.escape(name.lower())}[^\n]*(deprecat|unused|no longer|ignored)", docs))


def _matters(case: LossCase, name: str, default: float) -> bool | None:
    """Whether another value of a parameter changes anything; None if no other value is accepted."""
    trials = [default + 0.5, default * 2 if default else 0.25, 0.9, 0.1, 10.0]
    if re.fullmatch(_TINY, name):
        trials = [default + 1.0, 0.3, *trials]
    accepted = False
    for trial in trials:
        changed = case.attempt(lambda t=trial: case.with_argument(re.escape(name), t))  # type: ignore[misc]
        if changed is None:
            continue
        for inputs in _probes(case):
            base = case.attempt(lambda i=inputs: case.value_and_grad(i, case.fresh()))  # type: ignore[misc]
            got = case.attempt(lambda i=inputs, m=changed: case.value_and_grad(i, m))  # type: ignore[misc]
            if base is None or got is None:
                continue
            accepted = True
            if not judge.close(base[0], got[0], 1e-6, 1e-9) or _differ(base[1], got[1]):
                return True
    return False if accepted else None


def _differ(a: Tensor | None, b: Tensor | None) -> bool:
    if a is None or b is None:
        return (a is None) != (b is None)
    return judge.distance(a, b) > 1e-9 + 1e-6 * judge.max_abs(a)


def _probes(case: LossCase) -> list[Inputs]:
    """Ordinary inputs and those at which small constants show."""
    inputs = case.inputs()
    found = [inputs, case.inputs(2)]
    if case.family in INDEXED or case.family in BINARY:
        found += [case.perfect(inputs, 30.0), case.perfect(inputs, 30.0, shift=1)]
        found.append({**inputs, case.target: torch.zeros_like(inputs[case.target])})
    elif case.target and case.spec(case.target).role == case.spec(case.pred).role:
        found.append({**inputs, case.pred: inputs[case.target].clone()})
    found.append({n: v * 30 if v.is_floating_point() else v for n, v in inputs.items()})
    return found


@check("initial-value")
def initial_value(case: LossCase) -> Measured:
    """The value at uniform logits against theory or the contract."""
    if case.contract.get("at_init"):
        return _at_init(case, case.contract.raw["at_init"])
    stated = case.contract.get("initial_value")
    expected = None
    if stated is not None:
        expected = _evaluate(str(stated), case)
    elif case.family in INDEXED and re.search(
        r"^(masked|weighted|my|custom)?cross_?entropy", case.builder.target.__name__, re.I
    ):
        expected = torch.log(torch.tensor(float(case.classes), dtype=torch.float64)).item()
    if expected is None:
        raise Skip("no theory for it; contract.initial_value states one")
    if case.reduction in ("sum", "none"):
        raise Skip("stated for the mean")
    inputs = case.inputs()
    got = case.value({**inputs, case.pred: torch.zeros_like(inputs[case.pred])})
    if judge.close(got, expected, 1e-3, 1e-4):
        return Measured(f"{got:.6g}", f"{expected:.6g}")
    line = case.source.point(r"log2|log10|/|mean\(", r"return")
    raise Broken(f"{got:.6g}", f"{expected:.6g}", "Uniform logits do not cost what theory says.", f"Check {line}.")


def _at_init(case: LossCase, stated: dict[str, Any]) -> Measured:
    """The value that the contract states for inputs filled with zeros or ones."""
    inputs = case.inputs()
    for name, fill in (stated.get("given") or {}).items():
        if name in inputs and fill in ("zeros", "ones"):
            inputs[name] = torch.full_like(inputs[name], 0 if fill == "zeros" else 1)
    expected, got = _evaluate(str(stated.get("value")), case), case.value(inputs)
    if expected is None:
        raise Skip(f"{stated.get('value')!r} could not be evaluated")
    if judge.close(got, expected, 1e-3, 1e-4):
        return Measured(f"{got:.6g}", f"{expected:.6g}")
    line = case.source.point(r"log2|log10|/|mean\(|sum\(", r"return")
    why = "The stated inputs do not cost what the contract says."
    raise Broken(f"{got:.6g}", f"{expected:.6g}", why, f"Check {line}.")


def _evaluate(text: str, case: LossCase) -> float | None:
    text = re.sub(r"\bln\s*\(?\s*(\w+)\s*\)?", r"log(\1)", text)
    classes = case.classes if case.family in INDEXED else case.contract.sizes["C"]
    names = {**case.contract.sizes, "C": classes, "num_classes": classes, "log": math.log, "exp": math.exp}
    try:
        return float(eval(text, {"__builtins__": {}}, names))
    except Exception:
        return None
