"""Checks of what the formula of a well-known family implies: its slopes, signs, floors and what it leaves out."""

from __future__ import annotations

import math
import re
from typing import Any

import torch
from torch import Tensor

from . import judge, roles
from .contract import Spec
from .core import Broken, Measured, Skip
from .layouts import BINARY
from .loss import Inputs, LossCase
from .loss_checks import check
from .loss_target_checks import must_be_finite


@check("continuous")
def continuous(case: LossCase) -> Measured:
    """The largest jump of the value as all errors go from -4 to 4, as built and with other thresholds."""
    case.require("regression")
    inputs = case.inputs()
    modules = [None, *(case.with_argument(r"delta|beta|threshold|c|w|omega|epsilon", at) for at in (2.0, 0.5))]
    spans = [_jump(case, inputs, module) for number, module in enumerate(modules) if module is not None or not number]
    if not any(span for _, _, span in spans):
        raise Skip("its value is not finite, or constant, over these errors")
    for worst, at, span in spans:
        if worst > 0.01 * span:
            where = case.source.point(r"torch\.where\(|masked_fill|clamp|minimum|\[.*[<>]", r"\bif\b|[<>]", r"return")
            raise Broken(
                f"jumps by {worst:.4g} at an error of {at:.3g}",
                "no jump",
                "The two branches of the loss do not meet: the value leaps while the gradient says nothing of it.",
                f"Make the branches equal where they change over (Huber: delta * (|e| - delta / 2)) at {where}.",
            )
    return Measured(f"largest jump {spans[0][0]:.1g}", f"<= 1% of {spans[0][2]:.3g}")


def _jump(case: LossCase, inputs: Inputs, module: Any) -> tuple[float, float, float]:
    """The largest jump, the error at which it is, and the span of the values; zeros where that cannot be told."""

    def cost(error: float) -> float:
        return case.value({**inputs, case.pred: inputs[case.target] + error}, module)

    grid = [-4 + step / 8 for step in range(65)]
    costs = case.attempt(lambda: [cost(error) for error in grid]) or [math.nan]
    span = max(costs) - min(costs)
    if not math.isfinite(span) or span <= 1e-5 * max(map(abs, costs)):
        return 0.0, 0.0, 0.0
    worst, at = 0.0, 0.0
    for number in range(64):
        bend = abs(costs[number + 1] - costs[number])
        if bend > 0.01 * span:
            jump, place = _narrowed(cost, grid[number], grid[number + 1])
            worst, at = max((worst, at), (jump, place))
    return worst, at, span


def _narrowed(cost: Any, low: float, high: float) -> tuple[float, float]:
    """The jump that is left of an interval cut in half sixteen times, on the steeper side each time."""
    whole = abs(cost(high) - cost(low))
    for cut in range(16):
        if cut == 3 and abs(cost(high) - cost(low)) < 0.3 * whole:
            return 0.0, high  # a slope: of a jump, all would be left
        middle = (low + high) / 2
        left, right = abs(cost(middle) - cost(low)), abs(cost(high) - cost(middle))
        low, high = (low, middle) if left > right else (middle, high)
    return abs(cost(high) - cost(low)), high


_QUANTILE = r"q|quantiles?|tau|alpha|level|p"


@check("quantile")
def quantile(case: LossCase) -> Measured:
    """The cost of predicting one too little against one too much, which is q to 1 - q."""
    case.require("regression", "quantiles")
    if not case.is_called(r"quantile|pinball"):
        raise Skip("not a quantile loss by name")
    module = case.with_argument(_QUANTILE, 0.9)
    levels = [0.9] if module is not None else _levels(case)
    if not levels:
        raise Skip("its quantile is not known")
    inputs = case.inputs()
    truth = torch.zeros_like(inputs[case.target])
    slopes = []
    for error in (-1.0, 1.0):
        given = {**inputs, case.target: truth, case.pred: torch.full_like(inputs[case.pred], error)}
        gradient = case.value_and_grad(given, module)[1]
        if gradient is None or gradient.shape[-1] % len(levels):
            raise Skip("it has no gradient for each quantile")
        slopes.append(gradient.reshape(-1, len(levels)).abs().sum(dim=0) if len(levels) > 1 else gradient.abs().sum())
    low, high = (judge.wide(slope).flatten().tolist() for slope in slopes)
    shares = [a / max(a + b, 1e-30) for a, b in zip(low, high)]
    line = case.source.point(r"(pred\w*|target\w*|y\w*)\s*-\s*\w", r"max(imum)?\(|where\(", r"return")
    for level, share in zip(levels, shares):
        if abs(share - level) > 0.02:
            why = f"Predicting too little costs {share:.2f} of the two errors, where the quantile is {level:g}."
            fix = f"max(q * (target - pred), (q - 1) * (target - pred)): check the difference at {line}."
            raise Broken(f"{share:.2f}", f"{level:g}", why, fix)
    return Measured(", ".join(f"{share:.2f}" for share in shares), "q of the two slopes")


def _levels(case: LossCase) -> list[float]:
    """The quantiles that an instance holds or a call defaults to."""
    found = [getattr(case.module, n, None) for n in ("q", "quantile", "quantiles", "tau", "alpha", "level")]
    found += [case.call_default(n) for n in ("q", "quantile", "tau", "alpha", "level", "quantiles")]
    for value in found:
        if isinstance(value, Tensor):
            value = judge.wide(value).flatten().tolist()
        values = list(value) if isinstance(value, (list, tuple)) else [value]
        levels = [float(v) for v in values if isinstance(v, float) and 0 < v < 1]
        if len(levels) == len(values):
            return levels
    return []


_DISTANCE = r"mse|mae|rmse|l1|l2|huber|charb|wing|log_?cosh|quantile|pinball|regress|squared|absolute|smooth_?l"


@check("both-errors")
def both_errors(case: LossCase) -> Measured:
    """Too much costs something and too little costs something, and neither costs less when it grows."""
    case.require("regression", "quantiles")
    if not case.is_called(_DISTANCE) or not case.plain_extras():
        raise Skip("not a distance of prediction and truth, by name")
    inputs = case.inputs()
    truth = inputs[case.target]
    truth = truth.unsqueeze(-1).expand_as(inputs[case.pred]) if truth.dim() < inputs[case.pred].dim() else truth
    line = case.source.point(r"\.abs\(|pow|\*\*|square", r"where\(|clamp|max", r"return")
    for way, sign in (("too much", 1.0), ("too little", -1.0)):
        costs = [case.value({**inputs, case.pred: truth + sign * error}) for error in (0.0, 0.1, 0.5, 2.0, 8.0, 32.0)]
        shown = ", ".join(f"{cost:.4g}" for cost in costs)
        if not all(math.isfinite(cost) for cost in costs):
            raise Skip("its value is not finite over these errors")
        if any(far < near - 1e-4 * max(abs(near), 1e-3) for near, far in zip(costs, costs[1:])):
            why = f"Predicting {way} costs less the more it is (errors 0, 0.1, 0.5, 2, 8, 32)."
            raise Broken(shown, "never falling with the error", why, f"Check sign and branches at {line}.")
        if costs[-1] <= costs[0] + 1e-6:
            why = f"Predicting {way} costs nothing: errors of that sign are not punished."
            raise Broken(shown, "rising with the error", why, f"Take the absolute error at {line}.")
    if case.is_called(r"huber|smooth_?l1") and not case.is_called(r"pseudo|reverse|ber_?hu"):
        near, far = (case.value({**inputs, case.pred: truth + error}) for error in (32.0, 64.0))
        if far > 3 * near:
            why = "Large errors cost their square: the branches are exchanged, or the threshold is never reached."
            raise Broken(
                f"{near:.4g} at 32, {far:.4g} at 64", "twice as much", why, f"Square below delta only, at {line}."
            )
    return Measured("both rise", "errors of both signs cost, more the larger they are")


@check("pos-weight")
def pos_weight(case: LossCase) -> Measured:
    """How the share of the gradient at positives changes with pos_weight."""
    case.require(*BINARY)
    if case.spec(case.pred).role != "logits" or case.family == "onehot":
        raise Skip("not a loss of logits and 0/1 targets")
    modules = [case.with_argument(r"pos(itive)?_weight", weight) for weight in (1.0, 4.0)]
    if None in modules or case.attempt(lambda: case.value(case.inputs(), modules[1])) is None:
        modules = [
            case.with_argument(r"pos(itive)?_weight", torch.full((case.classes,), weight)) for weight in (1.0, 4.0)
        ]
    if None in modules or case.attempt(lambda: case.value(case.inputs(), modules[1])) is None:
        raise Skip("the constructor takes no pos_weight")
    inputs = case.inputs(B=8)
    flat = {**inputs, case.pred: torch.zeros_like(inputs[case.pred])}
    odds = []
    for module in modules:
        gradient = case.value_and_grad(flat, module)[1]
        if gradient is None or gradient.shape != inputs[case.target].shape:
            raise Skip("no gradient for each target")
        truth = inputs[case.target] > 0.5
        odds.append(judge.total(gradient.abs() * truth) / max(judge.total(gradient.abs() * ~truth), 1e-30))
    factor = odds[1] / max(odds[0], 1e-30)
    if factor > 1.05:
        return Measured(f"weight 4 multiplies the positives' odds by {factor:.3g}", "> 1")
    line = case.source.point(r"pos(itive)?_weight(?!\s*[:=])", r"pos(itive)?_weight")
    raise Broken(
        f"weight 4 multiplies the positives' odds by {factor:.3g}",
        "> 1, about 4",
        "pos_weight does not weigh the positives.",
        f"Multiply the term of target = 1 by it, and no other, at {line}.",
    )


@check("spread")
def spread(case: LossCase) -> Measured:
    """A predicted spread shrinks where the mean is right and grows where it is far off."""
    name = next((s.name for s in case.specs if _is_spread(s.name) and s.name not in (case.pred, case.target)), None)
    if name is None or case.family != "regression" or case.is_called(r"kl|vae|elbo"):
        raise Skip("no predicted variance beside a prediction and its truth")
    inputs = case.inputs()
    unit = {**inputs, name: torch.zeros_like(inputs[name]) if "log" in name else torch.ones_like(inputs[name])}
    pushes = []
    for error in (0.0, 10.0):
        slope = case.value_and_grad({**unit, case.pred: unit[case.target] + error}, None, name)[1]
        pushes.append(0.0 if slope is None else judge.total(slope))
    line = case.source.point(r"exp\(", rf"\b{name}\b(?!\s*[:,)=])", r"return")
    if pushes[0] > 0 > pushes[1]:
        return Measured(f"gradient {pushes[0]:.3g} at no error, {pushes[1]:.3g} at a large one", "> 0, then < 0")
    why = "The likelihood is best where the spread equals the error; this one draws the spread elsewhere."
    fix = f"0.5 * (log_var + (y - mean)**2 * exp(-log_var)): both terms, that sign in exp, at {line}."
    raise Broken(f"gradient {pushes[0]:.3g} at no error, {pushes[1]:.3g} at an error of 10", "> 0, then < 0", why, fix)


def _is_spread(name: str) -> bool:
    return bool(re.fullmatch(rf"{roles.SPREAD}|(\w+_)?(var|variance|sigma|std)", name.lower()))


@check("divergence")
def divergence_(case: LossCase) -> Measured:
    """Value and slope of a Gaussian's divergence from the standard normal, at the standard normal."""
    names = [spec.name for spec in case.specs]
    mean = next((n for n in names if re.fullmatch(r"(z_)?(mu|means?)(_z)?", n)), None)
    spread = next((n for n in names if re.fullmatch(r"(z_)?log_?(var|variance|sigma|std)(_z)?", n)), None)
    said = case.is_called(r"kl|vae|elbo|bottleneck") or case.source.mentions(("kl ", "kullback", "standard normal"))
    if mean is None or spread is None or not said:
        raise Skip("not a divergence of a Gaussian given by mean and log-variance")
    inputs = case.inputs()
    zero = {**inputs, mean: torch.zeros_like(inputs[mean]), spread: torch.zeros_like(inputs[spread])}
    away = {**inputs, mean: torch.ones_like(inputs[mean]), spread: torch.full_like(inputs[spread], 0.5)}
    best, other = case.value(zero), case.value(away)
    line = case.source.point(r"exp\(|\.pow\(|\*\* ?2", r"log_?var|log_?sigma|log_?std", r"return")
    if not best < other:
        why = "The standard normal is not the cheapest: the sign of the divergence is turned."
        raise Broken(f"{best:.4g} at N(0, 1), {other:.4g} away from it", "lowest at N(0, 1)", why, f"Correct {line}.")
    for name in (mean, spread):
        slope, usual = (case.value_and_grad(given, None, name)[1] for given in (zero, away))
        if slope is None or usual is None:
            raise Skip(f"no gradient reaches {name}")
        if judge.max_abs(slope) > 0.1 * judge.max_abs(usual) + 1e-7:
            why = f"The divergence still pulls at {name} where it is 0: variance and deviation are mixed up."
            fix = f"-0.5 * (1 + logvar - mu**2 - exp(logvar)), with logvar = 2 * log(sigma), at {line}."
            raise Broken(f"max |grad| {judge.max_abs(slope):.3g} for {name} at N(0, 1)", "0", why, fix)
    return Measured(f"{best:.4g} at N(0, 1), {other:.4g} away from it", "lowest there, gradient 0")


@check("critics")
def critics(case: LossCase) -> Measured:
    """The signs in which real and fake scores are pushed."""
    case.require("critics")
    if case.is_called(r"gen(erator)?(_|$)|^g_|_g$|_g_|match"):
        raise Skip("a generator's loss by name")
    names = list(case.inputs())
    signs, rises = set(), 0.0
    for level in (-0.6, -0.3, 0.2, 0.4, 0.6):
        inputs = {name: torch.full_like(value, level) for name, value in case.inputs().items()}
        slopes = [case.value_and_grad(inputs, None, name)[1] for name in inputs]
        pushes = [0.0 if slope is None else judge.total(slope) for slope in slopes]
        rises += sum(push for name, push in zip(names, pushes) if "real" in name)
        if all(abs(push) > 1e-6 for push in pushes):
            signs.add(pushes[0] * pushes[1] > 0)
    if not signs:
        raise Skip("real and fake are not both pushed")
    if False in signs and rises > 1e-6 and case.is_called(r"disc|critic|hinge|^d_|_d$|_d_"):
        line = case.source.point(r"relu|softplus|hinge|clamp", r"real", r"return")
        why = "Descending it lowers the scores of real samples and raises those of fake ones."
        if not case.source.mentions(("energy",)):
            raise Broken(
                f"summed gradient {rises:.3g} at real scores", "< 0", why, f"Exchange real and fake at {line}."
            )
    if False in signs:
        return Measured("opposite directions", "opposite directions")
    line = case.source.point(r"relu|softplus|hinge|clamp", r"fake", r"return")
    raise Broken(
        "the same direction",
        "opposite directions",
        "Real and fake scores are pushed the same way: the critic learns to tell nothing apart.",
        f"Turn the sign of one: hinge is relu(1 - real) + relu(1 + fake), at {line}.",
    )


@check("boxes-apart")
def boxes_apart(case: LossCase) -> Measured:
    """The value of equal boxes, and of boxes moved further and further apart."""
    case.require("boxes")
    if len(case.specs) != 2:
        raise Skip("it takes more than boxes")
    if case.reduction == "none":
        raise Skip("it does not reduce")
    base = torch.tensor([[1.0, 1.0, 3.0, 4.0]])
    costs = [case.value({case.pred: base + shift, case.target: base}) for shift in (0.0, 1.0, 8.0, 16.0, 32.0)]
    line = case.source.point(r"clamp|max\(|min\(|inter|overlap|rb|wh", r"return")
    shown = ", ".join(f"{cost:.4g}" for cost in costs)
    for near, far in zip(costs[1:], costs[2:]):
        if far < near - 1e-3 * max(abs(near), 1.0):
            why = "Boxes that lie further apart cost less: two negative sides make a positive overlap."
            raise Broken(shown, "never falling with the distance", why, f"clamp(min=0) the sides at {line}.")
    if case.is_called(r"iou") and min(abs(costs[0]), abs(costs[0] + 1)) > 0.02:
        union = case.source.point(r"union|area", r"/")
        why = "Equal boxes do not have an IoU of 1."
        raise Broken(f"{costs[0]:.4g} for equal boxes", "0", why, f"union = area + area - overlap, at {union}.")
    return Measured(shown, "never falling with the distance")


@check("own-pair")
def own_pair(case: LossCase) -> Measured:
    """The floor at a low temperature: with every pair matched and all others orthogonal, nothing is left."""
    case.require("pair", "embeddings")
    if not case.is_called(r"nt_?xent|info_?nce|simclr|sup_?con|supervised_?contrast"):
        raise Skip("not a contrastive loss with a softmax over the others, by name")
    module = case.with_argument(r"temperature|tau|t|temp", 0.05)
    if module is None:
        default = case.call_default("temperature")
        if not isinstance(default, float) or default > 0.15:
            raise Skip("its temperature cannot be set")
    inputs = case.inputs()
    count, size = inputs[case.pred].shape
    if case.family == "pair":
        views = torch.eye(count, size)
        inputs = {**inputs, case.pred: views, case.target: views.clone()}
    else:
        # Two of each class: of more, each can only have its share, and log(their number) is left.
        labels = torch.arange(count) // 2
        if size <= int(labels[-1]):
            raise Skip("too few dimensions for as many orthogonal pairs")
        inputs = {**inputs, case.target: labels, case.pred: torch.eye(count, size)[labels]}
    value = case.value(inputs, module)
    if value < 0.3:
        return Measured(f"{value:.4g}", "< 0.3 for pairs that are matched without a doubt")
    line = case.source.point(r"eye\(|diag|fill_diagonal|masked_fill", r"@|matmul|mm\(|\.t\(\)|\.T\b", r"cross_entropy")
    raise Broken(
        f"{value:.4g}",
        "about 0 for pairs that are matched without a doubt",
        "The similarity of an embedding to itself competes with its pair: the loss cannot fall below ln 2.",
        f"Fill the diagonal of the similarities with -inf before the softmax, at {line}.",
    )


_COUNTS = r"valid|keep|att(entio)?n|observed|loss"
_PADS = r"pad"
_MEANS_COUNTS = r"(true|1|ones?)\W+(\w+\W+){0,2}?(valid|keep|kept|real|tokens?|observed|count|not pad|non-?pad|used)"
_MEANS_PADS = r"(true|1|ones?)\W+(\w+\W+){0,2}?(pad|ignore|masked|invalid|missing|left out)"


@check("mask")
def mask(case: LossCase) -> Measured:
    """What a mask or lengths leave out: no influence, no share in the mean, no 0 / 0."""
    spec = next((s for s in case.specs if s.role in ("boolmask", "lengths") and s.name != case.target), None)
    if spec is None or not case.has_truth_or_pair():
        raise Skip("it takes no mask of valid or padded positions")
    name = spec.name
    line = case.source.point(rf"\b{name}\b(?!\s*[:,)=])", rf"\b{name}\b", r"mean\(|sum\(")
    if spec.role == "lengths":
        inputs, counted = _shortened(case, spec)
        _no_influence(case, inputs, counted, line)
        return _mean_over_counted(case, inputs, case.spec(case.pred).shape[1], int(counted[0].sum()), name)
    pads = _polarity(case, name)
    inputs = case.inputs()
    size = inputs[name].shape[-1]
    counted = torch.zeros_like(inputs[name], dtype=torch.bool)
    counted[..., : size // 2] = True
    if pads is None:
        pads = _leaves_out_ones(case, {**inputs, name: counted}, counted)
    halved = {**inputs, name: ~counted if pads else counted}
    _no_influence(case, halved, counted, line)
    nothing = {**inputs, name: torch.full_like(counted, pads)}
    value, gradient = case.value_and_grad(nothing)
    must_be_finite(case, nothing, value, gradient, f"a {name} that leaves nothing")
    return _mean_over_counted(case, halved, case.spec(name).shape[-1], size // 2, name)


def _polarity(case: LossCase, name: str) -> bool | None:
    """Whether True marks padding, by name or documentation; None if neither says so."""
    lines = [line for line in case.source.text.lower().splitlines() if re.search(rf"\b{name.lower()}\b", line)]
    said = [re.split(rf"\b{name.lower()}\b", line, maxsplit=1)[1] for line in lines]
    if any(re.search(_MEANS_COUNTS, text) for text in said):
        return False
    if any(re.search(_MEANS_PADS, text) for text in said):
        return True
    if re.search(_PADS, name):
        return True
    return False if re.search(_COUNTS, name) else None


def _leaves_out_ones(case: LossCase, inputs: Inputs, marked: Tensor) -> bool:
    """Whether positions marked True are those without influence, as a mask of nothing but that name may have it."""
    spot = _spot(inputs[case.pred], marked)
    moved = {**inputs, case.pred: torch.where(spot, inputs[case.pred] * -2 + 1, inputs[case.pred])}
    return judge.close(case.value(inputs), case.value(moved), 1e-5, 1e-7)


def _shortened(case: LossCase, spec: Spec) -> tuple[Inputs, Tensor]:
    """Inputs whose every length is two thirds of the padded one, and the positions that count."""
    shape = case.spec(case.pred).shape
    prefix = re.sub(r"_?len\w*$", "", spec.name.lower())
    if len(shape) < 2 or str(shape[1]) not in ("T", "L", "S") or re.search(r"target|label|^y", prefix):
        raise Skip("lengths of something else than the prediction's second dimension")
    inputs = case.inputs()
    steps = inputs[case.pred].shape[1]
    kept = steps - steps // 3
    counted = (torch.arange(steps) < kept).expand(inputs[case.pred].shape[:2])
    return {**inputs, spec.name: torch.full_like(inputs[spec.name], kept)}, counted


def _spot(pred: Tensor, counted: Tensor) -> Tensor:
    if tuple(pred.shape[: counted.dim()]) != tuple(counted.shape):
        raise Skip("the mask has no entry for each position of the prediction")
    return counted.view(*counted.shape, *[1] * (pred.dim() - counted.dim())).expand_as(pred)


def _no_influence(case: LossCase, halved: Inputs, counted: Tensor, line: str) -> None:
    pred = halved[case.pred]
    spot = _spot(pred, counted)
    moved = {**halved, case.pred: torch.where(spot, pred, pred * -2 + 1)}
    first, second = case.value(halved), case.value(moved)
    if not judge.close(first, second, 1e-5, 1e-7):
        why = "Predictions at positions that the mask leaves out change the loss."
        fix = f"Multiply by the mask, the right way round, at {line}."
        raise Broken(f"{first:.6g}, then {second:.6g}", "no influence", why, fix)


def _mean_over_counted(case: LossCase, shortened: Inputs, symbol: Any, kept: int, name: str) -> Measured:
    """Hold the masked value against that of the counted part alone; only the exact ratio of the counts is a fault."""
    cropped, size = dict(shortened), kept
    for spec in case.specs:
        if symbol in spec.shape:
            dim = spec.shape.index(symbol)
            size = shortened[spec.name].shape[dim]
            cropped[spec.name] = shortened[spec.name].narrow(dim, 0, kept)
    masked, alone = case.value(shortened), case.attempt(lambda: case.value(cropped))
    if alone is None or case.reduction in ("sum", "none") or not alone:
        return Measured("no influence", "what the mask leaves out has no influence")
    if judge.close(masked / alone, kept / size, 1e-3, 0) and not case.source.mentions(
        ("all elements", "all positions")
    ):
        line = case.source.point(r"\.mean\(|numel\(\)|size\(|shape\[", r"/\s*\w", r"return")
        divisor = f"{name}.sum()" if name in case.source.text and "len" in name else f"{name}.sum().clamp(min=1)"
        raise Broken(
            f"{masked:.5g} with a part left out, {alone:.5g} without that part (ratio {masked / alone:.3g})",
            "equal",
            f"What {name} leaves out still counts in the divisor: the loss shrinks where padding is frequent.",
            f"Divide by {divisor}, not by the number of all elements, at {line}.",
        )
    return Measured(f"{masked:.5g} masked, {alone:.5g} without the rest", "no influence, no share in the mean")
