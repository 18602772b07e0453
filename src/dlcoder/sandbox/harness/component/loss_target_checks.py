"""Checks of how a loss treats its target: the optimum, ignored elements, odd labels, extreme predictions."""

from __future__ import annotations

import math
import re

import torch
from torch import Tensor

from . import judge
from .core import Broken, Measured, Skip
from .descend import adam
from .layouts import BINARY, INDEXED
from .loss import Inputs, LossCase
from .loss_checks import check
from .trace import divergence, nonfinite_gradient_line, nonfinite_line

EQUAL_IS_BEST = ("regression", "images", "boxes", "distill")


@check("perfect-is-lowest")
def perfect_is_lowest(case: LossCase) -> Measured:
    """The value at the truth, at chance and at wrong classes."""
    if not case.plain_extras() and not (case.family == "distill" and _extras_only_mask(case)):
        raise Skip("a further input decides where the optimum lies")
    if case.family in EQUAL_IS_BEST:
        return _equal_is_best(case)
    if case.family == "pair":
        return _aligned_is_best(case)
    if case.family == "embeddings":
        return _clustered_is_best(case)
    case.require(*INDEXED, *BINARY)
    if not case.has_truth():
        raise Skip(f"{case.target} is not named as a truth")
    inputs = case.inputs()
    chance = case.value(_uniform(case, inputs))
    best = case.value(case.perfect(inputs))
    shifts = range(1, case.classes) if case.family in INDEXED else (1,)
    wrong = {shift: case.value(case.perfect(inputs, shift=shift)) for shift in shifts}
    lowest = min(wrong, key=lambda shift: wrong[shift])
    # Some losses are flat near decision level (erosions, margins): there chance may cost what the truth does.
    flat = best == chance and all(best < case.value(case.inputs(seed)) for seed in (1, 2, 3))
    if not best < wrong[lowest] or not (best < chance or flat):
        raise _not_lowest(case, best, chance, lowest, wrong[lowest])
    _reaches_floor(case)
    return Measured(
        f"{best:.4g} at the truth, {chance:.4g} at chance, {wrong[lowest]:.4g} when wrong", "lowest, near 0"
    )


def _uniform(case: LossCase, inputs: Inputs) -> Inputs:
    pred = inputs[case.pred]
    role = case.spec(case.pred).role
    fill = 1 / max(case.classes, 1) if role == "probs" else (0.5 if role == "unit" else 0.0)
    return {**inputs, case.pred: torch.full_like(pred, fill)}


def _not_lowest(case: LossCase, best: float, chance: float, shift: int, wrong: float) -> Broken:
    if case.family in INDEXED and wrong <= best and wrong < chance:
        why = f"Predicting class (label + {shift}) mod C costs less than predicting the label."
        where = case.source.point(
            r"target\w*\s*[-+]\s*1|labels?\s*[-+]\s*1|[-+]\s*1\b", r"one_hot|gather|roll|reshape|view"
        )
        return Broken(
            f"{best:.4g} at the truth, {wrong:.4g} at label + {shift}", "lowest at the truth", why, f"Correct {where}."
        )
    where = case.source.point(r"reshape\(|view\(|permute|transpose", r"return\s+-|1\s*-|return .*\+", r"-\s*\w|return")
    return Broken(
        f"{best:.4g} at the truth, {chance:.4g} at chance, {wrong:.4g} when wrong",
        "lowest at the truth",
        "A perfect prediction is not the cheapest: a turned sign, or prediction and target matched up wrongly.",
        f"Check sign and order of dimensions at {where}; channels-first maps need movedim(1, -1) before flattening.",
    )


def _reaches_floor(case: LossCase) -> None:
    """A loss that keeps falling with confidence must end near nothing; else it is squashed twice.

    Every sample has one class throughout, as terms that compare neighbors have their floor there.
    """
    if case.spec(case.pred).role != "logits" or case.family == "onehot" or case.twins():
        return
    inputs = case.inputs()
    target = inputs[case.target]
    if case.family in INDEXED and target.dim() > 1:
        labels = (torch.arange(len(target)) % case.classes).view(-1, *[1] * (target.dim() - 1))
        inputs = {**inputs, case.target: labels.expand_as(target).to(target.dtype).clone()}
    inputs |= {name: torch.zeros_like(inputs[name]) for name in case.posterior()}
    best, chance = case.value(case.perfect(inputs)), case.value(_uniform(case, inputs))
    certain = case.value(case.perfect(inputs, strength=20))
    mild = case.value(case.perfect(inputs, strength=3))
    floor = float(case.contract.get("minimum", 0.0))
    if certain <= best + 1e-6 <= mild + 1e-6 and certain - floor > 0.12 * abs(chance - floor):
        where = case.source.point(r"softmax\((?!.*log)|sigmoid\(", r"softmax|sigmoid", r"return")
        raise Broken(
            f"{certain:.4g} at a certain, right prediction ({chance:.4g} at chance)",
            f"about {floor:g}",
            "It cannot reach its floor however certain the prediction is: typical of softmax or sigmoid applied twice.",
            f"Pass raw logits on at {where}; cross_entropy and BCE-with-logits apply theirs themselves.",
        )


def _equal_is_best(case: LossCase) -> Measured:
    inputs = case.inputs()
    target = inputs[case.target]
    best, slope = case.value_and_grad({**inputs, case.pred: target.clone()})
    others = [case.value_and_grad(case.inputs(seed)) for seed in (1, 2, 3)]
    other = min(value for value, _ in others)
    usual = max(judge.max_abs(gradient) for _, gradient in others if gradient is not None)
    if case.family == "distill" and slope is not None and judge.max_abs(slope) > 0.02 * usual:
        line = case.source.point(r"kl_div|log_softmax|softmax", r"temperature", r"return")
        raise Broken(
            f"max |grad| {judge.max_abs(slope):.3g} where student equals teacher ({usual:.3g} elsewhere)",
            "0",
            "A student that equals its teacher is still pushed away: the two are treated differently.",
            f"The same temperature for both, log-probabilities for the student, at {line}.",
        )
    if best < other:
        _nothing_below(case, inputs, best, other)
        return Measured(f"{best:.4g} at the truth, {other:.4g} elsewhere", "lowest at the truth")
    where = case.source.point(r"return\s+-|-\s*\(|1\s*-", r"return")
    raise Broken(
        f"{best:.4g} at the truth, {other:.4g} elsewhere",
        "lowest at the truth",
        "A prediction equal to the target is not the cheapest.",
        f"Check the sign at {where}.",
    )


_PULLED = r"variation|\btv\b|smooth|sparsity|regular|penal|prior|entropy|weight_decay|commit"
"""Words of a term that pulls the prediction elsewhere on purpose."""


def _nothing_below(case: LossCase, inputs: Inputs, best: float, other: float) -> None:
    """Descend from the truth: where prediction and truth are of one kind, nothing else should cost less.

    Raises:
        Broken: Something costs less by a tenth of what an ordinary prediction costs more.
    """
    if case.family not in ("regression", "images") or re.search(_PULLED, case.source.text, re.I):
        return
    leaf = (inputs[case.target].detach().clone() + 0.01 * torch.randn(inputs[case.target].shape)).requires_grad_()
    module = case.fresh()
    costs = adam(lambda: case.loss({**inputs, case.pred: leaf * 1}, module), [leaf], rate=0.03, steps=15)
    if min(costs) < best - 0.1 * (other - best):
        line = case.source.point(r"\+.*(ssim|cos|sim|corr)|1\s*-", r"\+", r"return")
        raise Broken(
            f"{min(costs):.4g} near by, {best:.4g} at the truth",
            "nothing below the truth",
            "Descending from the truth leads away from it: a term rewards being different.",
            f"Check the sign of each term (1 - similarity), at {line}.",
        )


def _extras_only_mask(case: LossCase) -> bool:
    """Whether other values of the further inputs leave the loss as it is: they say at most what to leave out."""
    inputs, other = case.inputs(), case.inputs(40)
    extra = {s.name: other[s.name] for s in case.specs if s.name not in (case.pred, case.target)}
    return judge.close(case.value(inputs), case.value({**inputs, **extra}), 1e-5, 1e-7)


def _aligned_is_best(case: LossCase) -> Measured:
    inputs = case.inputs()
    aligned = case.value({**inputs, case.target: inputs[case.pred].clone()})
    mixed = case.value({**inputs, case.target: torch.roll(inputs[case.pred], 1, dims=0)})
    if aligned < mixed:
        return Measured(f"{aligned:.4g} for matched, {mixed:.4g} for mismatched pairs", "lower for matched pairs")
    where = case.source.point(
        r"arange|labels|eye|diag|roll", r"/\s*(self\.)?(temperature|tau)|\* ?-|return\s+-", r"return"
    )
    raise Broken(
        f"{aligned:.4g} for matched, {mixed:.4g} for mismatched pairs",
        "lower for matched pairs",
        "Pairs that belong together cost more than pairs that do not.",
        f"Check which entries are positives, and the sign, at {where}.",
    )


def _clustered_is_best(case: LossCase) -> Measured:
    inputs = case.inputs()
    labels, size = inputs[case.target], inputs[case.pred].shape[-1]
    centers = torch.eye(max(int(labels.max()) + 1, 1), size) * 3
    noise = 0.05 * inputs[case.pred]
    clustered = case.value({**inputs, case.pred: centers[labels] + noise})
    mixed = case.value({**inputs, case.pred: centers[torch.roll(labels, 1)] + noise})
    if any(True for _ in getattr(case.module, "parameters", tuple)()) and not clustered < mixed:
        raise Skip("it learns class centers of its own")
    if clustered < mixed:
        return Measured(f"{clustered:.4g} for clusters, {mixed:.4g} for mixed classes", "lower for clusters")
    where = case.source.point(r"mask|==|labels", r"return\s+-|-\s*\(", r"return")
    raise Broken(
        f"{clustered:.4g} for clusters, {mixed:.4g} for mixed classes",
        "lower for clusters",
        "Embeddings clustered by label cost no less than mixed ones.",
        f"Check which pairs count as positive, and the sign, at {where}.",
    )


def _need_ignore(case: LossCase) -> int:
    case.require(*INDEXED)
    label = case.ignore_index
    if label is None:
        raise Skip("no ignore_index in the contract or the code")
    return label


@check("all-ignored")
def all_ignored(case: LossCase) -> Measured:
    """Nothing valid at all."""
    _need_ignore(case)
    inputs = case.inputs()
    everything = torch.ones_like(inputs[case.target], dtype=torch.bool)
    ignored = case.ignoring(inputs, everything)
    value, gradient = case.value_and_grad(ignored, case.fresh())
    divide = case.source.point(
        r"/\s*\(?\w*(valid|mask|count|num|n_|weight|keep|total|denom)",
        r"\.mean\(",
        r"/ |div\(",
        r"cross_entropy|nll_loss",
    )
    if not math.isfinite(value):
        where = nonfinite_line(case.source, lambda: case.raw(ignored, case.fresh())) or divide
        raise Broken(
            f"{value}",
            "finite, gradient 0",
            "A crop or batch without a valid element gives a non-finite loss: one such batch ends the training.",
            f"Divide by max(number of valid elements, 1) at {where}.",
        )
    if gradient is None:
        where = case.source.point(r"torch\.(tensor|zeros)\(|new_zeros|new_tensor|return 0", r"return")
        raise Broken(
            "no graph",
            "finite, gradient 0",
            "backward() raises for a batch without a valid element.",
            f"Return {case.pred}.sum() * 0 instead at {where}.",
        )
    if judge.max_abs(gradient) > 1e-12 or math.isnan(judge.max_abs(gradient)):
        where = nonfinite_gradient_line(case.source, lambda: case.loss(ignored | {}, case.fresh()))
        raise Broken(
            f"max |grad| {judge.max_abs(gradient):.3g}",
            "0",
            "Elements without a label still push the prediction.",
            f"Mask the ignored elements before they are summed, at {where or divide}.",
        )
    return Measured(f"{value:.4g}, gradient 0", "finite, gradient 0")


@check("ignored-elements")
def ignored_elements(case: LossCase) -> Measured:
    """Value and gradient at ignored elements, for the declared label and for another one."""
    label = _need_ignore(case)
    ignores(case, label, None)
    other = 254 if label != 254 else 253
    if "ignore_index" in case.builder.parameters:
        module = case.attempt(lambda: case.fresh(ignore_index=other))
        if module is not None:
            ignores(case, other, module)
            return Measured(f"no influence with {label} and with {other}", "no influence, gradient 0")
    return Measured("no influence", "no influence, gradient 0")


def ignores(case: LossCase, label: int, module: object) -> None:
    """Hold value and gradient at ignored elements of one instance against no influence.

    Raises:
        Broken: They have one.
    """
    inputs = case.inputs()
    shape = inputs[case.target].shape
    where = torch.rand(shape, generator=torch.Generator().manual_seed(5)) < 0.3
    where.view(-1)[0], where.view(-1)[-1] = True, False
    ignored = case.ignoring(inputs, where, label)
    value, gradient = case.value_and_grad(ignored, module)
    spot = _expand(case, where, inputs[case.pred])
    other = {**ignored, case.pred: torch.where(spot, inputs[case.pred] * -2 + 1, inputs[case.pred])}
    moved = case.value(other, module)
    leak = 0.0 if gradient is None else judge.max_abs(gradient * spot)
    line = _leak_line(case, ignored, other, module) or _ignore_line(case)
    if not judge.close(value, moved, 1e-5, 1e-7):
        raise Broken(
            f"the value moves from {value:.6g} to {moved:.6g}",
            "no influence",
            f"Predictions at elements labelled {label} change the loss.",
            f"Leave out elements that equal ignore_index at {line}.",
        )
    if leak > 1e-9 or math.isnan(leak):
        raise Broken(
            f"max |grad| {leak:.3g} at ignored elements",
            "0",
            f"Elements labelled {label} receive a gradient.",
            f"Mask the prediction as well as the target at {line}.",
        )


def _leak_line(case: LossCase, ignored: Inputs, other: Inputs, module: object) -> str:
    """The first reduction over elements whose result the ignored predictions change."""
    elements = ignored[case.target].numel()

    def tells(a: Tensor, b: Tensor) -> bool:
        return a.numel() < elements and a.is_floating_point() and not judge.identical(a, b) and _apart(a, b)

    first, second = (lambda: case.raw(ignored, module)), (lambda: case.raw(other, module))
    return divergence(case.source, first, second, tells)


def _apart(a: Tensor, b: Tensor) -> bool:
    return judge.distance(a, b) > 1e-6 + 1e-5 * judge.max_abs(a)


def _ignore_line(case: LossCase) -> str:
    return case.source.point(
        r"!=\s*(self\.)?ignore|==\s*(self\.)?ignore|(!=|==)\s*(255|-100)",
        r"valid|mask",
        r"ignore_index",
        r"cross_entropy|nll_loss|one_hot|gather",
        r"return",
    )


def _expand(case: LossCase, where: Tensor, pred: Tensor) -> Tensor:
    """A mask of the target's shape as one of the predictions that it is the truth of."""
    if case.ahead:
        where = torch.roll(where, -1, dims=-1)
        where[..., -1] = True  # the last position has no label to predict
    if case.family == "pixels1":
        return where.expand(pred.shape)
    return where.unsqueeze(case.class_dim).expand(pred.shape)


@check("ignored-divisor")
def ignored_divisor(case: LossCase) -> Measured:
    """Ignoring a part costs what leaving it out costs."""
    _need_ignore(case)
    case.require("classes", "pixels", "tokens")
    if case.reduction in ("none", "sum") or not case.plain_extras() or len(case.specs) > 2:
        raise Skip("its value is no mean of prediction and target alone")
    if case.source.first(r"topk\(|\.sort\(|kthvalue|quantile\("):
        raise Skip("it keeps the hardest elements, of which there are as many either way")
    dim = {"classes": 0, "pixels": 2, "tokens": 1}[case.family]
    inputs = case.inputs()
    size = inputs[case.target].shape[dim if case.family != "pixels" else 1]
    if case.ahead:
        return _first_is_no_target(case, inputs)
    if not _mixes(case, inputs):
        raise Skip("its value depends on where an element stands")
    target_dim = 1 if case.family != "classes" else 0
    where = torch.zeros_like(inputs[case.target], dtype=torch.bool)
    where.narrow(target_dim, size // 2, size - size // 2).fill_(True)
    ignored = case.value(case.ignoring(inputs, where))
    cropped = case.value(
        {
            case.pred: inputs[case.pred].narrow(dim, 0, size // 2),
            case.target: inputs[case.target].narrow(target_dim, 0, size // 2),
        }
    )
    if judge.close(ignored, cropped, 1e-3, 1e-6):
        return Measured(f"{ignored:.5g} ignored, {cropped:.5g} left out", "equal")
    where_line = case.source.point(r"numel\(\)|\.mean\(|size\(|shape\[", r"/\s*\w", r"\.sum\(")
    raise Broken(
        f"{ignored:.5g} with half ignored, {cropped:.5g} without that half (ratio {ignored / (cropped or 1):.3g})",
        "equal",
        "Ignored elements still count in the divisor: the loss shrinks where padding is frequent.",
        f"Divide by the number of valid elements at {where_line}.",
    )


def _first_is_no_target(case: LossCase, inputs: Inputs) -> Measured:
    """Where tokens are shifted, nothing predicts the first label, and ignoring it must change nothing."""
    first = torch.zeros_like(inputs[case.target], dtype=torch.bool)
    first[:, 0] = True
    plain, without = case.value(inputs), case.value(case.ignoring(inputs, first))
    if judge.close(plain, without, 1e-4, 1e-7):
        return Measured(f"{plain:.5g} with and without the first label", "equal")
    line = case.source.point(r"!=\s*(self\.)?ignore", r"\.sum\(\)", r"numel|size\(|shape\[", r"return")
    why = "The first label, which nothing predicts, changes the loss: valid labels are counted before the shift."
    raise Broken(
        f"{plain:.5g}, {without:.5g} with the first label ignored", "equal", why, f"Count the shifted labels at {line}."
    )


def _mixes(case: LossCase, inputs: Inputs) -> bool:
    """Whether elements can change places (within the whole batch) without a change of the value."""
    pred, target = inputs[case.pred], inputs[case.target]
    dim = {"classes": 0, "pixels": 2, "tokens": 1}[case.family]
    order = torch.randperm(pred.shape[dim], generator=torch.Generator().manual_seed(3))
    moved = {**inputs, case.pred: pred.index_select(dim, order)}
    moved[case.target] = target.index_select(1 if case.family != "classes" else 0, order)
    if case.family == "pixels":
        across = torch.randperm(pred.shape[3], generator=torch.Generator().manual_seed(4))
        moved[case.pred] = moved[case.pred].index_select(3, across)
        moved[case.target] = moved[case.target].index_select(2, across)
    return judge.close(case.value(inputs), case.value(moved), 1e-4, 1e-6)


@check("one-class")
def one_class(case: LossCase) -> Measured:
    """Targets that hold one class only."""
    case.require(*INDEXED, *BINARY)
    shown = []
    last = case.classes - 1 if case.family in INDEXED else 1
    for label in (0, last):
        inputs = case.inputs()
        target = inputs[case.target]
        if case.family == "onehot":
            target = torch.zeros_like(target)
            target[:, 0 if label == 0 else -1] = 1
        else:
            target = torch.full_like(target, label)
        value, gradient = case.value_and_grad({**inputs, case.target: target})
        must_be_finite(case, {**inputs, case.target: target}, value, gradient, f"a target of class {label} only")
        shown.append(f"{value:.4g}")
    return Measured(" and ".join(shown), "finite value and gradient")


def must_be_finite(case: LossCase, inputs: Inputs, value: float, gradient: Tensor | None, when: str) -> None:
    """Hold value and gradient of a call against being finite.

    Raises:
        Broken: One of them is not.
    """
    if not math.isfinite(value):
        where = nonfinite_line(case.source, lambda: case.raw(inputs, case.fresh())) or case.source.point(
            r"/ |log|sqrt|exp"
        )
        raise Broken(f"{value}", "finite", f"For {when} the loss is not finite.", f"Guard {where}: {_remedy(where)}")
    if gradient is not None and not judge.finite(gradient):
        leaf = {**inputs, case.pred: inputs[case.pred].detach().clone().requires_grad_()}
        where = nonfinite_gradient_line(case.source, lambda: case.loss(leaf, case.fresh()))
        where = where or case.source.point(r"sqrt|norm|pow|\*\*|log|/")
        raise Broken(
            "gradient nan or inf",
            "finite",
            f"For {when} the gradient is not finite.",
            f"Guard {where}: {_remedy(where)}",
        )


def _remedy(line: str) -> str:
    if "log" in line:
        return "use log_softmax, logsigmoid or clamp_min before the logarithm."
    if "exp" in line:
        return "subtract the maximum first, or use log_softmax, logsumexp."
    if "sqrt" in line or "norm" in line:
        return "add eps inside the root, as its slope at 0 is infinite."
    if "/" in line or "div" in line or "mean" in line:
        return "clamp the divisor away from 0."
    return "keep its argument inside the range where value and slope are finite."


@check("extreme-values")
def extreme_values(case: LossCase) -> Measured:
    """Logits of 1e4, probabilities of 0 and 1, equal regression targets."""
    role = case.spec(case.pred).role if case.pred else ""
    if case.family in ("regression", "images", "distill", "boxes"):
        inputs = case.inputs()
        inputs = {**inputs, case.pred: inputs[case.target].clone()}
        value, gradient = case.value_and_grad(inputs)
        must_be_finite(case, inputs, value, gradient, "a prediction equal to the target")
        return Measured(f"{value:.4g}", "finite where prediction and target agree")
    case.require(*INDEXED, *BINARY)
    if role not in ("logits", "unit"):
        raise Skip(f"the prediction is {role}")
    tries: list[tuple[str, Inputs]] = []
    inputs = case.inputs()
    strength = 1e4 if role == "logits" else 1.0
    what = "logits of 1e4" if role == "logits" else "probabilities of 0 and 1"
    tries.append((f"{what} that are right", _exact(case, case.perfect(inputs, strength))))
    tries.append((f"{what} that are wrong", _exact(case, case.perfect(inputs, strength, shift=1))))
    if role == "logits":
        tries.append(("random logits of 1e4", {**inputs, case.pred: inputs[case.pred] * 1e4}))
    for when, given in tries:
        value, gradient = case.value_and_grad(given)
        must_be_finite(case, given, value, gradient, when)
    return Measured("finite", f"finite value and gradient for {what}")


def _exact(case: LossCase, inputs: Inputs) -> Inputs:
    if case.spec(case.pred).role == "unit":
        return {**inputs, case.pred: inputs[case.pred].round()}
    return inputs


@check("label-range")
def label_range(case: LossCase) -> Measured:
    """A label C + 1 must raise, or at least not act as a class."""
    case.require(*INDEXED)
    bad = case.classes + 1
    if case.ignore_index == bad:
        raise Skip("that label is ignored")
    inputs = case.inputs()
    spot = (0,) * inputs[case.target].dim()
    target = inputs[case.target].clone()
    target[spot] = bad
    try:
        value = case.value({**inputs, case.target: target})
    except Exception as error:
        return Measured(f"raises {type(error).__name__}", "an exception, or no effect as a class")
    costs = []
    for label in range(case.classes):
        target[spot] = label
        costs.append(case.value({**inputs, case.target: target}))
    if judge.close(min(costs), max(costs), 1e-6, 1e-8):
        raise Skip("the value does not depend on which class a label names")
    for label, cost in enumerate(costs):
        if judge.close(value, cost, 1e-6, 1e-8):
            where = case.source.point(r"clamp|clip|%|remainder|where|minimum", r"one_hot|gather")
            raise Broken(
                f"label {bad} costs what label {label} costs",
                "an exception",
                f"A label out of range is silently taken for class {label}: a wrong label map goes unnoticed.",
                f"Replace only ignore_index, not every large label, at {where}.",
            )
    return Measured("accepted, acts as no class", "an exception, or no effect as a class")


@check("degenerate-boxes")
def degenerate_boxes(case: LossCase) -> Measured:
    """Zero area, equal, disjoint and no boxes."""
    case.require("boxes")
    if len(case.specs) != 2:
        raise Skip("it takes more than boxes")
    base = torch.tensor([[1.0, 1.0, 3.0, 3.0]])
    tries = {
        "a box of zero area": torch.tensor([[1.0, 1.0, 3.0, 1.0]]),
        "a point": torch.tensor([[2.0, 2.0, 2.0, 2.0]]),
        "equal boxes": base.clone(),
        "disjoint boxes": base + 50,
        "inverted corners": torch.tensor([[3.0, 3.0, 1.0, 1.0]]),
    }
    for when, box in tries.items():
        inputs = {case.pred: box, case.target: base}
        value, gradient = case.value_and_grad(inputs)
        must_be_finite(case, inputs, value, gradient, when)
    both = {case.pred: tries["a point"], case.target: tries["a point"].clone()}
    value, gradient = case.value_and_grad(both)
    must_be_finite(case, both, value, gradient, "two empty boxes")
    if case.reduction in ("mean", "sum"):
        none = {case.pred: torch.zeros(0, 4), case.target: torch.zeros(0, 4)}
        value, gradient = case.value_and_grad(none)
        must_be_finite(case, none, value, gradient, "no boxes at all")
    return Measured("finite", "finite value and gradient")


@check("collapse")
def collapse(case: LossCase) -> Measured:
    """Embeddings that are all equal or zero, labels without a pair."""
    case.require("embeddings", "pair", "triplet")
    inputs = case.inputs()
    floats = [name for name, value in inputs.items() if value.is_floating_point()]
    tries = {
        "equal embeddings": {**inputs, **{name: torch.ones_like(inputs[name]) for name in floats}},
        "zero embeddings": {**inputs, **{name: torch.zeros_like(inputs[name]) for name in floats}},
    }
    if case.family == "embeddings":
        count = len(inputs[case.target])
        tries["labels without a pair"] = {**inputs, case.target: torch.arange(count) % max(count, 1)}
        tries["one label"] = {**inputs, case.target: torch.zeros_like(inputs[case.target])}
    for when, given in tries.items():
        if "labels without" in when and any(True for _ in getattr(case.module, "parameters", tuple)()):
            continue
        value, gradient = case.value_and_grad(given, case.fresh())
        must_be_finite(case, given, value, gradient, when)
    return Measured("finite", "finite value and gradient")


@check("learns-target")
def learns_target(case: LossCase) -> Measured:
    """Adam on the logits reaches the target."""
    case.require(*INDEXED, *BINARY)
    if case.spec(case.pred).role != "logits" or not case.plain_extras() or not case.has_truth():
        raise Skip("not a loss of logits and a truth alone")
    inputs = case.inputs(B=2)
    start = inputs[case.pred].detach()
    logits = (0.1 * start).requires_grad_()
    module = case.fresh()
    adam(lambda: case.loss({**inputs, case.pred: logits * 1}, module), [logits], rate=0.3, steps=50)
    # What a mask leaves out gets no gradient and cannot be learned.
    masked = any(spec.role == "boolmask" for spec in case.specs)
    moved = (logits.detach() - 0.1 * start).abs() > 0 if masked else torch.ones_like(start, dtype=torch.bool)
    right = _share_right(case, logits.detach(), inputs, moved)
    floor = case.value(case.perfect(inputs), module)
    if judge.close(case.value({**inputs, case.pred: logits.detach()}, module), floor, 1e-4, 1e-6):
        return Measured(f"{floor:.4g}, as at the truth", "the value at the truth")
    if right >= 0.9:
        return Measured(f"{right:.0%} of the elements right", ">= 90% after 50 steps")
    where = case.source.point(r"reshape\(|view\(|permute|transpose", r"return\s+-|-\s", r"return")
    raise Broken(
        f"{right:.0%} of the elements right",
        ">= 90% after 50 steps",
        "Descending the loss does not lead to the target.",
        f"Check the sign, and how prediction and target are matched up, at {where}.",
    )


def _share_right(case: LossCase, logits: Tensor, inputs: Inputs, counted: Tensor) -> float:
    """The share of right elements among those with a counted logit."""
    target = inputs[case.target]
    if case.ahead:
        logits, counted, target = logits[:, :-1], counted[:, :-1], target[:, 1:]
    if case.family in INDEXED:
        target = target[:, 0] if case.family == "pixels1" else target
        return _mean_where(logits.argmax(dim=case.class_dim) == target, counted.any(dim=case.class_dim))
    if case.family == "onehot":
        return _mean_where(logits.argmax(dim=1) == target.argmax(dim=1), counted.any(dim=1))
    if logits.dim() == target.dim() + 1:
        logits, counted = logits[:, 0], counted[:, 0]
    return _mean_where((logits > 0) == (target > 0.5), counted)


def _mean_where(right: Tensor, counted: Tensor) -> float:
    return judge.number(right[counted].double().mean()) if bool(counted.any()) else 0.0
