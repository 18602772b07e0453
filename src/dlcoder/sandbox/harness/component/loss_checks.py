"""Checks of a loss that hold for every family: output, gradient, inputs, repeatability."""

from __future__ import annotations

import copy
import math
import re
from typing import Any, Callable

import torch
from torch import Tensor, nn

from . import judge
from .call import scalar
from .contract import Spec
from .core import Battery, Broken, Measured, Skip, reseed
from .layouts import INDEXED, PER_SAMPLE
from .loss import Inputs, LossCase
from .source import Source
from .trace import Devices, nonfinite_gradient_line, nonfinite_line, tensors, traced

BATTERY: Battery[LossCase] = Battery("loss")
check = BATTERY.check


@check("output")
def output(case: LossCase) -> Measured:
    """One finite float32 number."""
    inputs = case.inputs()
    result = case.raw(inputs)
    if isinstance(result, (int, float)) or result is None:
        line = case.source.point(r"\.item\(\)", r"float\(", r"return")
        raise Broken(
            type(result).__name__, "a tensor", "A plain number has no gradient.", f"Return a tensor at {line}."
        )
    value = scalar(result)
    if value is None:
        raise Broken("no tensor", "a scalar tensor", "It returns no tensor.", "Return the loss.")
    if value.dim() and not (value.numel() == 1 and value.dim() == 1) and case.reduction != "none":
        line = case.source.point(r"return")
        raise Broken(
            f"shape {tuple(value.shape)}", "a scalar", "The loss is not reduced.", f"Reduce to the mean at {line}."
        )
    if not judge.finite(value):
        where = nonfinite_line(case.source, lambda: case.raw(inputs)) or case.source.point(r"return")
        raise Broken(_show(value), "finite", "Ordinary inputs give a non-finite loss.", f"Correct {where}.")
    if value.dtype != torch.float32:
        where = case.source.point(r"float64|double|numpy|np\.", r"half|float16|bfloat16", r"return")
        raise Broken(
            str(value.dtype), "torch.float32", "float32 inputs change type.", f"Keep the inputs' type at {where}."
        )
    return Measured(_show(value), "a finite float32 scalar" if value.dim() == 0 else "finite float32")


def _show(value: Tensor) -> str:
    return f"{judge.number(value):.5g}" if value.numel() == 1 else f"shape {tuple(value.shape)}"


@check("gradient-flows")
def gradient_flows(case: LossCase) -> Measured:
    """A finite gradient that is not zero."""
    largest = 0.0
    for seed in (1, 2, 3):
        inputs = case.inputs(seed)
        if not inputs[case.pred].is_floating_point():
            raise Skip(f"{case.pred} is not floating point")
        _, gradient = case.value_and_grad(inputs)
        if gradient is None:
            raise _detached(case, inputs, "No gradient reaches the prediction: the loss cannot train anything.", "none")
        if not judge.finite(gradient):
            where = nonfinite_gradient_line(case.source, lambda i=inputs: _leaf_loss(case, i))  # type: ignore[misc]
            raise Broken(
                "nan or inf",
                "finite",
                "The gradient is not finite for ordinary inputs.",
                f"Guard {where or case.source.point('sqrt|log|/|norm')}; against 0 * inf, where() before the op.",
            )
        largest = max(largest, judge.max_abs(gradient))
    if largest == 0:
        raise _detached(case, case.inputs(), "The gradient is zero everywhere.", "0")
    for name in case.twins():
        slope = case.value_and_grad(case.inputs(), None, name)[1]
        if (slope is None or judge.max_abs(slope) == 0) and not _meant(case):
            line = case.source.point(
                rf"\b{name}\b.*(detach|item|no_grad)", r"\.item\(\)|\.detach\(\)|no_grad", rf"\b{name}\b"
            )
            why = f"No gradient reaches {name}, which has a target of its own: that part trains nothing."
            raise Broken(f"no gradient for {name}", "a gradient", why, f"Keep the graph at {line}.")
    _every_term_flows(case)
    return Measured(f"max |grad| {largest:.3g}", "finite, not 0")


_SHARES = r"(\w+_)?(alpha|lam\w*|lmbda|weight|ratio|coef)(_\w+)?"


def _every_term_flows(case: LossCase) -> None:
    """A term that a weight of 1 leaves alone, or that of 0 leaves out, must still send a gradient."""
    names = [n for n in case.builder.parameters if re.fullmatch(_SHARES, n)]
    names = [n for n in names if type(case.builder.default(n)) is float and 0 < case.builder.default(n) < 1]
    for name, share in ((n, s) for n in names for s in (0.0, 1.0)):
        module = case.attempt(lambda n=name, s=share: case.fresh(**{n: s}))  # type: ignore[misc]
        found = [case.attempt(lambda s=s, m=module: case.value_and_grad(case.inputs(s), m)) for s in (1, 2)]  # type: ignore[misc]
        if module is None or None in found:
            continue
        (first, slope), (second, other) = found
        still = all(g is None or judge.max_abs(g) == 0 for g in (slope, other))
        if still and not judge.close(first, second, 1e-3, 1e-6) and not _meant(case) and _by_prediction(case, module):
            line = case.source.point(
                r"[<>]=?\s*(0?\.\d|self\.thr|thr)|round\(|argmax", r"detach|no_grad", rf"\b{name}\b"
            )
            why = f"With {name} = {share:g} the loss changes with the prediction and sends no gradient."
            raise Broken(
                f"no gradient at {name}={share:g}", "a gradient", why, f"Keep probabilities and graph at {line}."
            )


def _by_prediction(case: LossCase, module: Any) -> bool:
    inputs, other = case.inputs(1), case.inputs(2)
    values = [case.value(inputs, module), case.value({**inputs, case.pred: other[case.pred]}, module)]
    return not judge.close(values[0], values[1], 1e-3, 1e-6)


def _meant(case: LossCase) -> bool:
    """Whether the code or the contract says that a part is held constant."""
    culprit = _cut(case)
    return bool(culprit and culprit[0] == "deliberate" and not case.source.first(r"\.item\(\)"))


def _leaf_loss(case: LossCase, inputs: Inputs) -> Tensor:
    return case.loss({**inputs, case.pred: inputs[case.pred].detach().clone().requires_grad_()}, case.fresh())


def _detached(case: LossCase, inputs: Inputs, why: str, measured: str) -> Broken:
    trace = traced(case.source, lambda: case.raw(inputs))
    where = case.source.quote(trace.detached) if trace.detached else ""
    hints = (r"\.detach\(\)", r"\.item\(\)", r"\.data\b", r"no_grad", r"argmax|max\(", r"torch\.tensor\(", r"numpy\(")
    where = where or case.source.point(*hints, r"round|sign|[<>]=?")
    return Broken(
        measured, "a gradient", why, f"Keep the graph at {where}: no detach, item, argmax or comparison there."
    )


@check("inputs-untouched")
def inputs_untouched(case: LossCase) -> Measured:
    """No input changes."""
    label = case.ignore_index
    inputs = case.inputs()
    if label is not None and case.target:
        target = inputs[case.target]
        inputs = case.ignoring(inputs, torch.rand(target.shape) < 0.2)
    leaf = inputs[case.pred].clone()
    given = {**inputs, case.pred: leaf.requires_grad_() * 1 if leaf.is_floating_point() else leaf}
    before = {name: value.detach().clone() for name, value in given.items()}
    case.raw(given, case.fresh())
    changed = [name for name, value in given.items() if not judge.identical(value, before[name])]
    if not changed:
        return Measured("unchanged", "unchanged")
    again = {name: value.detach().clone() * 1 for name, value in inputs.items()}
    trace = traced(case.source, lambda: case.raw(again, case.fresh()), tuple(again.values()))
    where = case.source.quote(trace.written) if trace.written else case.source.point(r"\w_\(|\]\s*=[^=]|[-+*/]=")
    raise Broken(
        f"{', '.join(changed)} changed",
        "unchanged",
        "The caller's tensor is written to: metrics and later losses see other values.",
        f"Work on a copy at {where}: masked_fill, where or clone() instead of writing in place.",
    )


@check("repeatable")
def repeatable(case: LossCase) -> Measured:
    """Two calls agree, and nothing piles up."""
    module = case.fresh()
    inputs = case.inputs()
    before = _state(module)
    reseed(0)
    first = case.value(inputs, module)
    if not _same_state(before, _state(module)):
        raise Skip("it updates registered buffers by design")
    rng = torch.get_rng_state()
    values = [case.value(inputs, module) for _ in range(3)]
    if all(judge.close(first, value, 1e-6, 1e-7) for value in values):
        _nothing_kept(case, module)
        return Measured(f"{first:.6g} four times", "equal")
    if not torch.equal(rng, torch.get_rng_state()) or case.source.first(r"rand|dropout|multinomial|sample"):
        raise Skip("it draws random numbers")
    where = case.source.point(r"self\.\w+\s*[-+*/]?=(?!=).*self\.|self\.\w+\s*[-+*/]=", r"append|global |\w+\s*\+=")
    raise Broken(
        f"{first:.6g}, then {values[0]:.6g}",
        "equal values",
        "Its value depends on earlier calls through state that is not a registered buffer.",
        f"Do not carry state over at {where}, or register it as a buffer and say so.",
    )


def _state(module: Any) -> dict[str, Tensor]:
    if not isinstance(module, nn.Module):
        return {}
    return {name: value.detach().clone() for name, value in [*module.named_buffers(), *module.named_parameters()]}


def _same_state(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(judge.identical(a[name], b[name]) for name in a)


def _nothing_kept(case: LossCase, module: Any) -> None:
    for name, value in vars(module).items() if hasattr(module, "__dict__") else ():
        if not name.startswith("_") and any(tensor.grad_fn is not None for tensor in tensors(value)):
            where = case.source.point(rf"self\.{name}\.append", rf"self\.{name}\s*[-+]?=")
            raise Broken(
                f"self.{name} holds a graph",
                "no graph kept",
                "Every call leaves a graph alive: memory grows or the next backward fails.",
                f"Store {name} detached at {where}.",
            )


@check("inputs-count")
def inputs_count(case: LossCase) -> Measured:
    """The value depends on each input."""
    for spec in case.specs:
        if not _changes(case, spec.name):
            if spec.name not in (case.pred, case.target) and spec.role == "real" and _is_read(case, spec):
                continue  # used under some option, as far as reading tells
            line = case.source.point(rf"def (forward|__call__)\b.*\b{spec.name}\b", rf"\b{spec.name}\b")
            raise Broken(
                f"{spec.name} changes nothing",
                "another value",
                f"The loss is the same for another {spec.name}.",
                f"Use {spec.name} (see {line}).",
            )
    return Measured(f"{len(case.specs)} inputs count", "every input changes the value")


def _is_read(case: LossCase, spec: Spec) -> bool:
    if case.family in ("ranking", "survival") or "." in spec.name:
        return False  # nothing about these depends on an option
    name = spec.name.split(".")[-1]
    lines = [line for line in case.source.code().splitlines() if not line.lstrip().startswith("def ")]
    return bool(re.search(rf"\b{name}\b(?!\s*:)", "\n".join(lines)))


def _changes(case: LossCase, name: str) -> bool:
    for seed in (1, 2, 3):
        inputs = case.inputs(seed)
        other = case.inputs(seed + 50)[name]
        if case.spec(name).role == "lengths":
            other = (inputs[name] - 1).clamp(min=1)
        if case.spec(name).role == "ids":
            other = inputs[name][torch.randperm(len(inputs[name]))]
        if name == case.target and case.ignore_index is not None:
            other = other.clone()
            other.view(-1)[: max(other.numel() // 3, 1)] = case.ignore_index
        reseed()
        first = case.loss(inputs)
        reseed()
        if not judge.close(judge.number(first), case.value({**inputs, name: other}), 1e-7, 1e-9):
            return True
    return False


@check("order-invariance")
def order_invariance(case: LossCase) -> Measured:
    """A permuted batch gives the same value."""
    if case.reduction == "none":
        raise Skip("it does not reduce")
    inputs = case.inputs()
    axes = case.batch_axes()
    sizes = {inputs[name].shape[axis] for name, axis in axes.items()}
    if len(axes) != len(inputs) or len(sizes) != 1:
        raise Skip("its inputs have no common batch dimension")
    order = torch.roll(torch.arange(sizes.pop()), 1)
    first = case.value(inputs, case.fresh())
    moved = {name: value.index_select(axes[name], order) for name, value in inputs.items()}
    second = case.value(moved, case.fresh())
    if judge.close(first, second, 1e-4, 1e-6):
        return Measured(f"difference {abs(first - second):.1g}", "<= 1e-4 relative")
    if _is_random(case):
        raise Skip("it draws random numbers")
    where = case.source.point(r"cumsum|linspace|arange|\[0\]|\[1:\]|\[:-1\]|roll")
    raise Broken(
        f"{first:.6g} and {second:.6g}",
        "equal",
        "The same samples in another order cost something else.",
        f"Remove the dependence on the position in the batch at {where}.",
    )


def _is_random(case: LossCase) -> bool:
    before = torch.get_rng_state()
    case.attempt(lambda: case.raw(case.inputs()))
    reseed()
    before = torch.get_rng_state()
    try:
        case.raw(case.inputs())
    except Exception:
        return False
    return not torch.equal(before, torch.get_rng_state())


@check("batch-reduction")
def batch_reduction(case: LossCase) -> Measured:
    """The declared reduction, or at least not a value that grows with the batch."""
    case.require(*PER_SAMPLE, "boxes", "counts", "triplet", "moments", "embeddings", "quantiles", "ranking")
    if case.reduction == "none":
        raise Skip("it does not reduce")
    inputs = case.inputs(B=4, N=4)
    if any(value.dim() == 0 or value.shape[0] != 4 for value in inputs.values()):
        raise Skip("not every input has the batch as its first dimension")
    whole = case.value(inputs)
    halves = [case.value({name: value[part] for name, value in inputs.items()}) for part in (slice(0, 2), slice(2, 4))]
    doubled = case.value({name: torch.cat([value, value]) for name, value in inputs.items()})
    kind = _reduction_kind(whole, halves, doubled)
    declared = case.reduction if case.reduction in ("mean", "sum") else ""
    explicit = case.contract.get("reduction") or ""
    if kind == "sum" and declared != "sum" and not _documents_a_sum(case):
        raise Broken(
            f"the value doubles with the batch ({whole:.5g} to {doubled:.5g})",
            "the mean over the batch",
            "It is a sum: learning rate and clipping depend on the batch size.",
            f"Divide by the number of elements, or take the mean, at {_reducing_line(case)}.",
        )
    if (declared == "sum" and kind == "mean") or (explicit == "mean" and kind == "set"):
        raise Broken(
            f"a {kind} ({whole:.5g}; halves {halves[0]:.5g}, {halves[1]:.5g})",
            f"the {declared} over the batch",
            "The value is not reduced as declared.",
            f"Correct the reduction at {_reducing_line(case)}.",
        )
    if kind == "set" and len(inputs) == 2 and re.search(_SAMPLEWISE, case.builder.target.__name__, re.I):
        line = case.source.point(r"unsqueeze|None\]|squeeze|view\(|reshape", r"-\s*\w", r"return")
        raise Broken(
            f"{whole:.5g}, where the two halves cost {halves[0]:.5g} and {halves[1]:.5g}",
            "the mean of the halves",
            "Samples are mixed: each prediction is also compared with the other samples' truths, as in a broadcast.",
            f"Bring both to one shape at {line}.",
        )
    if kind == "set":
        raise Skip("a loss of the whole batch: accumulation and data parallel ranks change its value (by design?)")
    return Measured(f"the {kind} over the batch", declared or "not a sum")


_SAMPLEWISE = r"mse|mae|huber|quantile|pinball|charbonnier|wing|log_?cosh|l1_?loss|smooth_?l1"


def _documents_a_sum(case: LossCase) -> bool:
    """Whether the documentation says that samples are summed, and nowhere that they are averaged."""
    docs = case.source.docs()
    summed = r"sum(med)?\s+(over|across|of)\s+(the\s+|all\s+)*(\w+\s+)?(batch|samples|elements|images|everything|boxes)"
    says = re.search(summed + r"|returns?\s+(the\s+)?(sum|total)", docs)
    return bool(says) and not re.search(r"\bmean\s+(over|across|of)|average", docs)


def _reducing_line(case: LossCase) -> str:
    return case.source.point(r"\.sum\(\)|torch\.sum\(|reduction=.sum", r"\.sum\(|\.mean\(|torch\.mean\(", r"return")


def _reduction_kind(whole: float, halves: list[float], doubled: float) -> str:
    if judge.close(doubled, 2 * whole, 1e-4, 1e-6) and abs(whole) > 1e-6:
        return "sum"
    return "mean" if judge.close(whole, sum(halves) / 2, 1e-3, 1e-6) else "set"


@check("batch-of-one")
def batch_of_one(case: LossCase) -> Measured:
    """A batch of one gives what the same sample twice gives."""
    case.require(*PER_SAMPLE)
    if case.reduction == "none":
        raise Skip("it does not reduce")
    one = case.inputs(B=1)
    if any(value.dim() == 0 or value.shape[0] != 1 for value in one.values()):
        raise Skip("not every input has the batch as its first dimension")
    alone = case.value(one)
    twice = case.value({name: torch.cat([value, value]) for name, value in one.items()})
    factor = 2 if judge.close(twice, 2 * alone, 1e-4, 1e-6) else 1
    if not math.isfinite(alone):
        where = nonfinite_line(case.source, lambda: case.raw(one)) or case.source.point(r"std|var|/")
        raise Broken(f"{alone}", "finite", "A batch of one sample gives no finite loss.", f"Guard {where}.")
    if judge.close(alone, twice / factor, 1e-3, 1e-6):
        return Measured(f"{alone:.5g}", "equal to the sample twice")
    if case.reduction == "" and not case.source.first(r"squeeze\(\)"):
        raise Skip("a loss of the whole batch")
    where = case.source.point(r"squeeze\(\)", r"\.mean\(|\.sum\(")
    raise Broken(
        f"{alone:.5g} alone, {twice / factor:.5g} in a pair of itself",
        "equal",
        "The last batch of an epoch may hold one sample.",
        f"Name the dimension at {where}: squeeze() without one also drops the batch.",
    )


@check("gradient-correct")
def gradient_correct(case: LossCase) -> Measured:
    """The directional derivative by autograd equals the one by differences."""
    if not case.inputs()[case.pred].is_floating_point():
        raise Skip(f"{case.pred} is not floating point")
    worst, of = (0.0, 0.0), ""
    for name in [case.pred, *_learned_inputs(case)]:
        found = _slopes(case, name)
        if found is None and name == case.pred:
            raise Skip("it does not accept float64")
        # A step over an edge (top-k, sorting) spoils a direction or two; a wrong gradient spoils nearly all.
        pair = sorted(found, key=lambda pair: _gap(*pair))[1] if found else (0.0, 0.0)
        if _gap(*pair) > _gap(*worst) or not of:
            worst, of = pair, name
    if _gap(*worst) < 0.02:
        return Measured(f"relative difference {_gap(*worst):.1g}", "< 2%")
    culprit = _cut(case)
    if culprit and culprit[0] == "deliberate":
        raise Skip(f"part of it is held constant on purpose at {culprit[1]}")
    where = (
        culprit[1]
        if culprit
        else case.source.point(r"def backward", r"\.detach\(\)|\.data\b", r"clamp|round|floor|where")
    )
    raise Broken(
        f"{worst[0]:.4g} by autograd, {worst[1]:.4g} by differences ({of})",
        "equal within 2%",
        f"The gradient with respect to {of} is not that of the value.",
        f"Correct {where}; if a part is meant to be constant, say so in a comment there or in contract.stop_gradient.",
    )


def _gap(analytic: float, numeric: float) -> float:
    return abs(analytic - numeric) / max(abs(analytic), abs(numeric), 1e-6)


def _learned_inputs(case: LossCase) -> list[str]:
    """Further inputs that a network makes: a second view, a posterior, anchors."""
    fixed = (case.target,) if case.family in PER_SAMPLE or case.family in ("boxes", "counts", "") else ()
    roles = ("real", "logits", "pair")
    return [s.name for s in case.specs if s.name not in (case.pred, *fixed) and s.role in roles][:3]


def _slopes(case: LossCase, name: str) -> list[tuple[float, float]] | None:
    """Directional derivatives, by autograd and by differences; None if the loss refuses float64."""
    pairs = []
    for seed in (1, 2, 3, 4, 5):
        inputs = {n: v.double() if v.is_floating_point() else v for n, v in case.inputs(seed).items()}
        direction = torch.randn(inputs[name].shape, generator=torch.Generator().manual_seed(seed + 1000)).double()
        direction = direction / direction.abs().max().clamp_min(1e-9)
        try:
            module = _double(case.fresh())
            gradient = case.value_and_grad(inputs, module, name)[1]
        except (RuntimeError, TypeError, ValueError):
            return None
        if gradient is None:
            return None
        analytic = judge.dot(gradient, direction)
        numeric = [_difference(case, inputs, name, direction, eps) for eps in (1e-6, 1e-4, 1e-3, 3e-3, 2e-2)]
        pairs.append((analytic, min(numeric, key=lambda value: _gap(analytic, value))))
    return pairs


def _double(module: Any) -> Any:
    return module.double() if isinstance(module, nn.Module) else module


def _difference(case: LossCase, inputs: Inputs, name: str, direction: Tensor, eps: float) -> float:
    ends = []
    for sign in (1, -1):
        module = _double(case.fresh())
        reseed()
        ends.append(case.value({**inputs, name: inputs[name] + sign * eps * direction}, module))
    return (ends[0] - ends[1]) / (2 * eps)


_PURPOSE = ("detach", "stop-grad", "stop grad", "no gradient", "constant weight", "carries no grad")


def _cut(case: LossCase) -> tuple[str, str] | None:
    """Whether undoing detach() or no_grad mends the gradient, and on which line it stands."""
    if case.contract.get("stop_gradient"):
        return "deliberate", "the contract's word"
    line = case.source.first(r"\.detach\(\)|\.data\b")
    block = case.source.first(r"no_grad\(\)")
    if line is None and block is None:
        return None
    if line is None and block is not None:
        return "deliberate", case.source.quote(block)
    assert line is not None
    nearby = "\n".join(case.source.lines[max(line - 3, 0) : line])
    purpose = r"#.*(detach|stop.?grad|constant|no.?grad|not? (differentiate|backprop)|frozen|only weighs?)"
    said = re.search(purpose, nearby, re.I) or case.source.mentions(_PURPOSE) or _weighs(case, line)
    return ("deliberate" if said else "fault"), case.source.quote(line)


def _weighs(case: LossCase, line: int) -> bool:
    """Whether what is detached on a line is a weight: by its name, or because what it multiplies has a gradient."""
    if case.source.is_called_constant(line):
        return True
    if not case.source.is_factor(line):
        return False
    trace = traced(case.source, lambda: case.raw(case.inputs()))
    return line in trace.weighed


@check("half-precision")
def half_precision(case: LossCase) -> Measured:
    """float16 and bfloat16 inputs give the value that the same numbers give in float32."""
    if not case.inputs()[case.pred].is_floating_point():
        raise Skip(f"{case.pred} is not floating point")
    worst = 0.0
    tried = []
    for dtype in (torch.float16, torch.bfloat16):
        for label, inputs in _half_inputs(case):
            outcome = _half_error(case, inputs, dtype, label)
            if outcome is not None:
                worst = max(worst, outcome)
                tried.append(label)
    if not tried:
        raise Skip("the CPU has no half-precision kernel for it")
    return Measured(f"relative difference {worst:.2g}", "<= 6% + 0.02")


def _half_inputs(case: LossCase) -> list[tuple[str, Inputs]]:
    """Ordinary inputs, confident logits (exp overflows past 11), and a map of more elements than float16 can count."""
    found = [("ordinary inputs", case.inputs())]
    if case.spec(case.pred).role == "logits":
        steep = case.inputs(2)
        found.append(("logits up to 20", {**steep, case.pred: (steep[case.pred] * 7).clamp(-20, 20)}))
    if case.family in ("pixels", "pixels1", "onehot", "binary-map", "binary-squeezed"):
        large = case.inputs(3, B=1, H=300, W=300)
        if case.family in INDEXED:
            large[case.target] = torch.where(torch.rand(large[case.target].shape) < 0.02, large[case.target], 0)
            if case.spec(case.pred).role == "logits":
                large = case.perfect(large, 4.0)
        found.append(("a map of 300 x 300", large))
    elif case.family == "regression" and len(case.specs) == 2:
        found.append(("a batch of 70,000", case.inputs(3, B=70_000, T=1, D=1)))
    return found


def _half_error(case: LossCase, inputs: Inputs, dtype: torch.dtype, label: str) -> float | None:
    low = {name: value.to(dtype) if value.is_floating_point() else value for name, value in inputs.items()}
    wide = {name: value.float() if value.is_floating_point() else value for name, value in low.items()}
    module = case.fresh()
    reference: float | None = case.attempt(lambda: case.value(wide, module))
    if reference is None:
        return None  # inputs of that size are not for it
    try:
        reseed()
        got = case.value(low, case.fresh())
    except (RuntimeError, TypeError, NotImplementedError) as error:
        if "not implemented for" in str(error) or isinstance(error, NotImplementedError):
            return None
        module = case.fresh()
        if any(True for _ in getattr(module, "parameters", tuple)()):
            got = case.attempt(lambda: case.value(low, module.to(dtype)))
            if got is not None:
                return None  # its own parameters have the type that the rest of the model has
        where = case.source.raised_at(error) or "the call"
        name = str(dtype).replace("torch.", "")
        fix = f"Cast to one type at {where}: logits = logits.float() at the start."
        raise Broken(f"{type(error).__name__}: {error}", "no exception", f"{name} inputs are refused.", fix) from error
    if not math.isfinite(reference) or judge.close(got, reference, 0.06, 0.02):
        return abs(got - reference) / max(abs(reference), 1e-6) if abs(reference) > 0.05 else abs(got - reference)
    where = nonfinite_line(case.source, lambda: case.raw(low, case.fresh()))
    where = where or case.source.point(r"exp\(", r"\.sum\(|torch\.sum", r"eps|1e-", r"softmax|sigmoid")
    name = str(dtype).replace("torch.", "")
    raise Broken(
        f"{got:.5g} in {name}, {reference:.5g} in float32 ({label})",
        "<= 6% + 0.02 apart",
        f"{name} overflows or loses its digits: float16 ends at 65,504.",
        f"Upcast before {where}: {case.pred} = {case.pred}.float() at the start of forward.",
    )


@check("autocast")
def autocast(case: LossCase) -> Measured:
    """The value under CPU autocast."""
    inputs = case.inputs()
    if not inputs[case.pred].is_floating_point():
        raise Skip(f"{case.pred} is not floating point")
    reference = case.value(inputs, case.fresh())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reseed()
        got = case.value(inputs, case.fresh())
    if judge.close(got, reference, 0.06, 0.05) or not math.isfinite(reference):
        return Measured(f"{got:.5g} and {reference:.5g}", "<= 6% + 0.05 apart")
    where = case.source.point(r"@|matmul|mm\(|bmm|einsum|linear|conv")
    raise Broken(
        f"{got:.5g} and {reference:.5g}",
        "<= 6% + 0.05 apart",
        "Autocast computes a part of the loss in bfloat16.",
        f"Compute {where} in float32: with torch.autocast(device_type, enabled=False).",
    )


@check("memory-layout")
def memory_layout(case: LossCase) -> Measured:
    """Transposed and channels_last inputs."""
    inputs = case.inputs()
    plain = case.value(inputs, case.fresh())
    for label, change in (("transposed", _strided), ("channels_last", _channels_last)):
        other = {name: change(value) for name, value in inputs.items()}
        reseed()
        got = case.value(other, case.fresh())
        if not judge.close(got, plain, 1e-4, 1e-6):
            where = case.source.point(r"view\(|reshape\(|as_strided|data_ptr")
            raise Broken(
                f"{got:.6g}, {plain:.6g}", "equal", f"{label} inputs cost something else.", f"Correct {where}."
            )
    return Measured("equal", "equal for transposed and channels_last inputs")


def _strided(value: Tensor) -> Tensor:
    if value.dim() < 2:
        return torch.stack([value, value], dim=-1)[..., 0] if value.dim() else value
    return value.transpose(0, -1).contiguous().transpose(0, -1)


def _channels_last(value: Tensor) -> Tensor:
    return value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value


@check("device")
def device(case: LossCase) -> Measured:
    """On the meta device, a tensor that stays behind is refused as on a GPU."""
    module = case.fresh()
    if isinstance(module, nn.Module):
        module = copy.deepcopy(module).to("meta")
    inputs = {name: value.to("meta") for name, value in case.inputs().items()}
    on_one_device(case.source, lambda: case.raw(inputs, module))
    return Measured("all tensors moved", "no tensor left on the CPU")


def on_one_device(source: Source, function: Callable[[], Any]) -> None:
    """Run with everything on the meta device.

    Raises:
        Broken: An operation met a tensor on the CPU.
        Skip: The code needs values, which that device has not.
    """
    devices = Devices(source)
    try:
        with devices:
            function()
    except Exception as error:
        if devices.mixed is None and _mixed_devices(error):
            raise mixed_device_fault(source.raised_at(error), str(error)) from error
        if devices.mixed is None:
            raise Skip("it branches on values, which have none on the meta device") from error
    if devices.mixed is not None:
        raise mixed_device_fault(source.quote(devices.mixed), f"{devices.operation} mixes devices")


def _mixed_devices(error: BaseException) -> bool:
    text = str(error).lower()
    return "meta" in text and "cpu" in text and "device" in text


def mixed_device_fault(line: str | None, message: str) -> Broken:
    """The fault that a tensor which stays on the CPU is."""
    return Broken(
        message,
        "one device",
        f"A tensor stays on the CPU when the rest moves ({line or 'in the call'}).",
        f"At {line or 'the call'}: register_buffer for tensors made in __init__, device=x.device for those made here.",
    )


@check("compile")
def compile_(case: LossCase) -> Measured:
    """torch.compile without a graph break."""
    module = case.fresh()
    inputs = case.inputs()
    reference = case.value(inputs, case.fresh())
    compiled: Callable[..., Any] = torch.compile(module, fullgraph=True, backend="aot_eager")
    got = judge.number(scalar(compiled(*inputs.values())))
    if judge.close(got, reference, 1e-4, 1e-6):
        return Measured(f"{got:.6g}", f"{reference:.6g}")
    raise Broken(
        f"{got:.6g}", f"{reference:.6g}", "The compiled value differs.", "Remove what depends on Python state."
    )


@check("cuda")
def cuda(case: LossCase) -> Measured:
    """The value on the GPU."""
    if not torch.cuda.is_available():
        raise Skip("no CUDA device in this run")
    module = case.fresh()
    reference = case.value(case.inputs(), case.fresh())
    module = module.cuda() if isinstance(module, nn.Module) else module
    got = case.value({name: value.cuda() for name, value in case.inputs().items()}, module)
    if judge.close(got, reference, 1e-3, 1e-5):
        return Measured(f"{got:.6g}", f"{reference:.6g}")
    raise Broken(
        f"{got:.6g}", f"{reference:.6g}", "The GPU computes another value.", "Check dtype and device of constants."
    )
