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
    if case.family == "texts":
        return _text_value(case)
    if case.contract.get("init"):
        raise Skip("its options may change the definition")
    name = re.sub(r"^(compute|calc(ulate)?|get|eval(uate)?)_", "", case.snake())
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


def _text_value(case: MetricCase) -> Measured:
    """Word and character error rates of a corpus against edits counted by a plain loop."""
    name = case.snake()
    words = re.search(r"(?<![a-z])wer(?![a-z])|word_error", name)
    if not words and not re.search(r"(?<![a-z])cer(?![a-z])|char\w*_error", name):
        raise Skip("no textbook definition by that name")
    inputs: Any = case.inputs(1, B=8, N=8)
    first, second = inputs
    swapped = re.search(r"hyp|pred|output|out", first) and not re.search(r"hyp|pred", second)
    said, true = (inputs[n] for n in ((first, second) if swapped else (second, first)))
    pairs = [(list(_cut_up(t, bool(words))), list(_cut_up(s, bool(words)))) for t, s in zip(true, said)]
    edits, length = [_edits(a, b) for a, b in pairs], [len(a) for a, b in pairs]
    want = sum(edits) / sum(length)
    got = case.values([inputs])
    if len(got) == 1 and any(judge.close(got[0], want * scale, 1e-3, 1e-6) for scale in (1, 100)):
        return Measured(show(got), f"{want:.5g} by a plain loop")
    mean = sum(e / n for e, n in zip(edits, length)) / len(pairs)
    if len(got) != 1 or (case.source.mentions(("average", "mean")) and judge.close(got[0], mean, 1e-3, 1e-6)):
        raise Skip("it returns something else than the rate of the whole corpus")
    line = case.source.point(r"/", r"\+=", r"min\(")
    why = "The edits of all sentences over the length of all references give another rate."
    why += " This is the mean of the sentences' rates." if judge.close(got[0], mean, 1e-3, 1e-6) else ""
    fix = f"Add up edits and reference lengths, and divide once, at {line}."
    raise Broken(show(got), f"{want:.4g}", why, fix)


def _cut_up(text: Any, words: bool) -> Any:
    text = text[0] if isinstance(text, list) and text and words and " " in text[0] else text
    return text.split() if words and isinstance(text, str) else text


def _edits(a: list[Any], b: list[Any]) -> int:
    """Insertions, deletions and substitutions from one list to the other."""
    row = list(range(len(b) + 1))
    for number, left in enumerate(a, 1):
        before, row[0] = row[0], number
        for place, right in enumerate(b, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (left != right))
    return row[-1]


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
