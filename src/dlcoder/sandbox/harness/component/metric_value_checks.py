"""The value of a metric with a textbook definition against a naive loop over it, under every convention in use."""

from __future__ import annotations

import re
from typing import Any, Callable

import torch
from torch import Tensor

from . import judge
from .core import Broken, Measured, Skip
from .metric import MetricCase, show
from .metric_checks import check, eight_samples, mixed

_ERRORS: dict[str, Callable[[Tensor], float]] = {
    r"mse|mean_?squared?_?error": lambda error: float((error * error).mean()),
    r"rmse|root_?mean_?squared?_?error": lambda error: float((error * error).mean() ** 0.5),
    r"mae|mean_?abs(olute)?_?error": lambda error: float(error.abs().mean()),
}
_RATES: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    r"accuracy|acc": lambda tp, fp, fn, tn: _over(tp + tn, tp + fp + fn + tn),
    r"f1|f1_?score|f_?score": lambda tp, fp, fn, tn: _over(2 * tp, 2 * tp + fp + fn),
    r"precision": lambda tp, fp, fn, tn: _over(tp, tp + fp),
    r"recall|sensitivity": lambda tp, fp, fn, tn: _over(tp, tp + fn),
}
_WORDS = r"(?:(?:simple|my|streaming|binary|multi_?class|multi_?label|mean|macro|micro|classification|epoch)_?)*"
_TAIL = r"(?:_?(?:metric|meter|score|error))?"


def _over(a: Any, b: Any) -> Any:
    return torch.where(b > 0, a / b.clamp(min=1), torch.zeros_like(b))


@check("value")
def value(case: MetricCase) -> Measured:
    """The value for three batches of eight samples."""
    if case.meter or len(case.specs) != 2 or not case.target:
        raise Skip("not a metric of a prediction and a truth alone")
    if case.contract.get("init"):
        raise Skip("its options may change the definition")
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", case.named()).lower()
    name = re.sub(r"^(compute|calc(ulate)?|get|eval(uate)?)_", "", name)
    tail = _TAIL if case.family != "regression" else "(?:_?(?:metric|meter|score))?"
    if not any(re.fullmatch(f"{_WORDS}(?:{pattern}){tail}", name) for pattern in (*_ERRORS, *_RATES)):
        raise Skip("no textbook definition by that name")
    eight_samples(case)
    agreeing: set[int] | None = None
    for seed in (1, 2, 3):
        shown = mixed(case, seed)
        accepted, got = _accepted(case, name, shown), case.values([shown])
        if len(got) != 1 or not accepted:
            raise Skip("no textbook definition for these inputs")
        near = {place for place, want in enumerate(accepted) if judge.close(got[0], want, 1e-3, 1e-5)}
        # One convention has to hold for every batch: each alone is met by chance now and then.
        agreeing = near if agreeing is None else agreeing & near
        if not agreeing:
            break
    if agreeing:
        return Measured(show(got), f"{accepted[min(agreeing)]:.5g} by a naive loop")
    wanted = ", ".join(f"{want:.4g}" for want in sorted(set(accepted))[:5])
    line = case.source.point(r"\+=|\.sum\(|numel|shape\[0\]|size\(0\)|len\(", r"/|mean\(")
    why = f"For this batch a naive loop over the definition of {name} gives another value under every usual convention."
    fix = f"Check which elements are counted, and by what is divided, at {line}."
    raise Broken(show(got), wanted, why, fix)


def _accepted(case: MetricCase, name: str, inputs: dict[str, Tensor]) -> list[float]:
    """Values that the definition of that name has for the inputs, as ratios and in percent."""
    pred, target = judge.wide(inputs[case.pred]), judge.wide(inputs[case.target])
    for pattern, error in _ERRORS.items():
        if re.fullmatch(f"(?:{pattern})(?:_?(?:metric|meter|score))?", name) and case.family == "regression":
            return [error(pred - target)]
    for pattern, rate in _RATES.items():
        if re.fullmatch(f"{_WORDS}(?:{pattern}){_TAIL}", name):
            return [found * scale for found in _rates(case, rate, pred, target) for scale in (1, 100)]
    return []


def _rates(case: MetricCase, rate: Callable[..., Any], pred: Tensor, target: Tensor) -> list[float]:
    if case.family == "classes-hard":
        return [*_of_classes(rate, pred, target), *_of_thresholds(rate, pred, target)]
    if case.family == "classes":
        return _of_classes(rate, pred.argmax(dim=1).double(), target)
    if case.family in ("binary", "multilabel", "binary-probs", "binary-hard"):
        return _of_thresholds(rate, pred, target)
    return []


def _of_classes(rate: Callable[..., Any], pred: Tensor, target: Tensor) -> list[float]:
    """Micro, macro over all and over present classes, and weighted by support."""
    labels = torch.unique(torch.cat([pred, target]))
    counts = [_counts(pred == label, target == label) for label in labels]
    columns = torch.tensor(counts, dtype=torch.float64).T
    each = rate(*columns)
    support = columns[0] + columns[2]
    right = float((pred == target).double().mean())
    micro = float(rate(*columns.sum(dim=1)))
    every = [float(each.sum()) / count for count in (len(labels), int((support > 0).sum()), 5)]
    recall = _over(columns[0], support)
    balanced = float(recall.sum() / (support > 0).sum())
    return [right, micro, *every, float((each * support).sum() / support.sum()), balanced]


def _of_thresholds(rate: Callable[..., Any], pred: Tensor, target: Tensor) -> list[float]:
    """Of 0/1 decisions under the usual thresholds: all together, the mean of columns and of rows, exact matches."""
    found: list[float] = []
    for decided in (pred > 0, pred > 0.5, pred >= 0.5, pred >= 0, pred == 1):
        for truth in (target > 0, target > 0.5, target == 1):
            found.append(float(rate(*torch.tensor(_counts(decided, truth), dtype=torch.float64))))
            if decided.dim() == 2:
                found.append(float((decided == truth).all(dim=1).double().mean()))
                for a, b in ((decided, truth), (decided.T, truth.T)):
                    rows = torch.tensor([_counts(x, y) for x, y in zip(a, b)], dtype=torch.float64).T
                    found.append(float(rate(*rows).mean()))
    return found


def _counts(decided: Tensor, truth: Tensor) -> list[int]:
    """True positives, false positives, false negatives and true negatives."""
    pairs = ((decided, truth), (decided, ~truth), (~decided, truth), (~decided, ~truth))
    return [int((a & b).sum()) for a, b in pairs]
