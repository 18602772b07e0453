"""Checks of metrics: accumulation, reset, reduction across ranks, ignored elements."""

from __future__ import annotations

import math
import re
from typing import Any, Callable

import torch
import torch.distributed as dist

from . import judge
from .core import Battery, Broken, Measured, Skip
from .layouts import INDEXED
from .loss import Inputs
from .metric import _BEST_AT_ONE, _BEST_AT_ZERO, MetricCase, close, show, state_of
from .trace import tensors, traced
from .values import Texts

BATTERY: Battery[MetricCase] = Battery("metric")
check = BATTERY.check


def _split(inputs: Inputs, *sizes: int) -> list[Inputs]:
    found, start = [], 0
    for size in sizes:
        found.append({name: value[start : start + size] for name, value in inputs.items()})
        start += size
    return found


def eight_samples(case: MetricCase) -> Inputs:
    """Eight samples; skips what takes no batch of samples."""
    inputs = mixed(case, 1)
    if any(len(set(spec.shape)) < len(spec.shape) and str(spec.shape[0]) in ("B", "N") for spec in case.specs):
        raise Skip("its input compares every sample with every other")
    if any(value.dim() == 0 or value.shape[0] != 8 for value in inputs.values()):
        raise Skip("not every input has the batch as its first dimension")
    return inputs


def mixed(case: MetricCase, seed: int) -> Inputs:
    """Eight samples, of which some are predicted perfectly, more of them in the first five."""
    inputs = case.inputs(seed, B=8, N=8)
    right = torch.tensor([1, 1, 0, 1, 1, 0, 1, 0], dtype=torch.bool)
    if len(case.specs) != 2:
        return inputs
    if case.family in (*INDEXED, "multilabel", "binary", "binary-map", "binary-squeezed", "onehot"):
        ideal = case.perfect(inputs)[case.pred]
    elif case.family in ("pixels-hard", "classes-hard"):
        ideal = inputs[case.target]
    else:
        return inputs
    spread = right.view(-1, *[1] * (ideal.dim() - 1))
    return {**inputs, case.pred: torch.where(spread, ideal, inputs[case.pred])}


def _in(case: MetricCase, what: str) -> str:
    """The first line of one of the metric's methods that does something."""
    name = case.names.get(what) or what
    node = case.source.node(case.named())
    for part in getattr(node, "body", ()):
        if getattr(part, "name", "") == name:
            return case.source.quote(part.lineno)
    return case.source.point(rf"def {name}")


@check("output")
def output(case: MetricCase) -> Measured:
    """Finite numbers in the range."""
    if case.meter:
        raise Skip("a running average of numbers")
    found = case.values([case.inputs()])
    if not found:
        raise Broken("no number", "a number", "compute() returns no number.", f"Return one at {_in(case, 'compute')}.")
    stated = case.contract.get("range")
    bounded = re.search(_BEST_AT_ONE, case.named(), re.I)
    low, high = stated or ((0.0, 1.0) if bounded else (-math.inf, math.inf))
    for value in found:
        if math.isnan(value) and len(found) == 1:
            line = case.source.point(r"/|mean|div")
            raise Broken("nan", "a number", "An ordinary batch gives nan.", f"Guard {line}.")
        if value < low - 1e-6 or value > high + 1e-6:
            if not stated and all(abs(v) > 1 or float(v).is_integer() for v in found):
                continue  # counts or percent
            line = case.source.point(r"/|mean|sum|\*")
            raise Broken(f"{value:.5g}", f"[{low}, {high}]", "Out of its range.", f"Check the ratio at {line}.")
    return Measured(show(found), f"finite, in [{low:g}, {high:g}]")


@check("inputs-untouched")
def inputs_untouched(case: MetricCase) -> Measured:
    """No input changes."""
    if case.meter:
        raise Skip("a running average of numbers")
    inputs = case.inputs()
    before = {name: value.clone() for name, value in inputs.items()}
    case.fed([inputs])
    changed = [name for name in inputs if not _alike(inputs[name], before[name])]
    if not changed:
        return Measured("unchanged", "unchanged")
    again = {name: value.clone() for name, value in before.items()}
    trace = traced(case.source, lambda: case.fed([again]), tuple(again.values()))
    where = case.source.quote(trace.written) if trace.written else case.source.point(r"\w_\(|\]\s*=[^=]|[-+*/]=")
    raise Broken(
        f"{', '.join(changed)} changed", "unchanged", "The caller's tensor is written to.", f"Copy at {where}."
    )


def _each_is_best(case: MetricCase, ideal: Inputs, line: str) -> None:
    """Of several numbers with a name each, those that are 1 at best must be that for a perfect prediction."""
    for name, found in case.by_name(ideal).items():
        known = re.search(r"iou|acc|f1|dice|precision|recall", name.lower()) and len(found) == 1
        if known and not any(judge.close(found[0], top, 1e-3, 0) for top in (1.0, 100.0)):
            raise Broken(
                f"{name} {show(found)} perfect", "1", f"A perfect prediction has no full {name}.", f"Check {line}."
            )


def _alike(a: Any, b: Any) -> bool:
    return bool(a == b) if isinstance(a, Texts) else judge.identical(a, b)


@check("perfect")
def perfect(case: MetricCase) -> Measured:
    """A perfect prediction scores best."""
    if not case.target or not case.plain_extras():
        raise Skip("no prediction with a truth")
    inputs = case.inputs(B=2 * case.contract.sizes["C"])
    if case.family == "texts":
        return _perfect_text(case, inputs)
    if case.family in (*INDEXED, "multilabel", "binary", "binary-map", "binary-squeezed", "onehot"):
        ideal = case.perfect(inputs)
    elif case.spec(case.pred).role == case.spec(case.target).role:
        ideal = {**inputs, case.pred: inputs[case.target].clone()}
    else:
        raise Skip("no perfect prediction is known for these inputs")
    best, other = case.values([ideal]), case.values([inputs])
    higher = case.contract.get("higher_is_better")
    known = bool(re.search(_BEST_AT_ONE, case.named(), re.I))
    line = case.source.point(r"argmax|topk|==|eq\(|threshold|>", r"/|mean")
    _each_is_best(case, ideal, line)
    if higher is None and not known:
        if not best or close(best, other):
            why = "A perfect prediction scores what a random one scores."
            raise Broken(show(best), "another value", why, f"Check {line}.")
        return Measured(f"{show(best)} perfect, {show(other)} random", "different")
    if len(best) == 1:
        better = best[0] > other[0] if (higher is None or higher) else best[0] < other[0]
        full = not known or judge.close(best[0], 1.0, 1e-3, 0) or judge.close(best[0], 100.0, 1e-3, 0)
        if not better or not full:
            why = "A perfect prediction does not score best."
            raise Broken(f"{show(best)} perfect, {show(other)} random", "1, and better", why, f"Check {line}.")
    return Measured(f"{show(best)} perfect, {show(other)} random", "best")


def _perfect_text(case: MetricCase, inputs: Inputs) -> Measured:
    """Every sentence as its reference has it: nothing wrong, or all of it right, and better than with errors."""
    first, second = inputs
    nested = case.spec(first).role == "references"
    plain: Any = inputs[second if nested else first]
    ideal: Any = {first: Texts([[t] for t in plain]) if nested else plain.clone(), second: plain.clone()}
    if case.spec(second).role == "references":
        ideal[second] = Texts([[text] for text in plain])
    best, other = case.values([ideal]), case.values([inputs])
    line = case.source.point(r"min\(|max\(|==|!=|&", r"/", r"return")
    wrong = re.search(_BEST_AT_ZERO, case.snake(), re.I)
    right = re.search(r"bleu|rouge|exact_?match|meteor|chrf|accura|f1", case.snake(), re.I)
    if len(best) != 1 or not (wrong or right):
        return Measured(f"{show(best)} perfect, {show(other)} with errors", "different")
    if wrong and (abs(best[0]) > 1e-6 or other[0] <= 0):
        why = "Sentences equal to their references are no better than ones with errors."
        raise Broken(f"{show(best)} perfect, {show(other)} with errors", "0, and more", why, f"Check {line}.")
    if right and (best[0] <= other[0] or not any(judge.close(best[0], top, 1e-3, 0) for top in (1.0, 100.0))):
        why = "Sentences equal to their references do not score best."
        raise Broken(f"{show(best)} perfect, {show(other)} with errors", "1, and less", why, f"Check {line}.")
    if re.search(r"bleu|rouge", case.snake()) and not nested:
        twice: Any = Texts([f"{text} {text}" if isinstance(text, str) else [*text, *text] for text in plain])
        said = first if re.search(r"hyp|pred|cand|gen|out", first) else second
        if said in ideal and case.spec(said).role in ("texts", "words"):
            repeated = case.values([{**ideal, said: twice}])
            if repeated[0] > 0.8 * best[0]:
                where = case.source.point(r"Counter|min\(|&", r"match|overlap")
                why = "A sentence said twice scores as said once: n-grams count more often than the reference has them."
                raise Broken(f"{show(repeated)} said twice", "clipped counts", why, f"Clip the counts at {where}.")
    return Measured(f"{show(best)} perfect, {show(other)} with errors", "best")


@check("accumulation")
def accumulation(case: MetricCase) -> Measured:
    """Batches of 5, 2 and 1 give what one batch of 8 gives."""
    if case.meter:
        return _meter(case)
    case.need_object()
    inputs = eight_samples(case)
    once, parts = case.values([inputs]), case.values(_split(inputs, 5, 2, 1))
    if close(once, parts):
        return Measured(f"{show(parts)} in parts, {show(once)} at once", "equal")
    if re.search(r"running|moving|ema|batch_?mean", case.named(), re.I):
        raise Skip("a running average by name")
    line = case.source.point(r"\.append\(.*mean|mean\(\)|/ ?len|/ ?n\b|count \+= 1|self\.\w+ \+=", r"self\.\w+ =")
    raise Broken(
        f"{show(parts)} in parts, {show(once)} at once",
        "equal",
        "The value depends on how the data is cut into batches: a mean of batch means, or state that is overwritten.",
        f"Add up counts (or sums and numbers of elements) and divide in compute(), at {line}.",
    )


def _meter(case: MetricCase) -> Measured:
    """A running average of values with counts: 1.0 three times and 5.0 once are 2.0."""
    meter = case.fresh()
    update = getattr(meter, case.names["update"])
    update(1.0, 3)
    update(5.0, 1)
    got = case.numbers(meter)
    if not judge.close(got[0], 2.0, 1e-6, 0):
        line = case.source.point(r"\* ?n|sum|count", r"/", r"def update")
        why = "The count of a value is not its weight: unequal batches are averaged as equal."
        raise Broken(show(got), "2", why, f"sum += value * n and count += n, at {line}.")
    if case.names["reset"]:
        getattr(meter, case.names["reset"])()
        update(3.0, 2)
        again = case.numbers(meter)
        if not judge.close(again[0], 3.0, 1e-6, 0):
            why = "reset() leaves something behind."
            raise Broken(show(again), "3", why, f"Reset sum and count in {_in(case, 'reset')}.")
    return Measured(show(got), "2 for 1.0 three times and 5.0 once")


@check("order-invariance")
def order_invariance(case: MetricCase) -> Measured:
    """Batches in another order give the same."""
    case.need_object()
    parts = _split(eight_samples(case), 5, 2, 1)
    first, second = case.values(parts), case.values(parts[::-1])
    if close(first, second):
        return Measured(show(first), "equal in any order")
    line = case.source.point(r"self\.\w+ = |momentum|decay", r"self\.\w+ \+=")
    raise Broken(f"{show(first)}, {show(second)}", "equal", "The order of batches counts.", f"Accumulate at {line}.")


@check("reset")
def reset(case: MetricCase) -> Measured:
    """After reset nothing is left."""
    case.need_object()
    if not case.names["reset"]:
        raise Skip("it has no reset")
    inputs = eight_samples(case)
    fresh = case.values([inputs])
    metric = case.fed([case.inputs(9, B=8, N=8)])
    case.numbers(metric)
    getattr(metric, case.names["reset"])()
    again = case.values([inputs], metric)
    if close(fresh, again):
        return Measured(show(again), "as a fresh one")
    why = "What was seen before reset() is still counted: epochs run into each other."
    fix = f"Reset every counter that update() writes, in {_in(case, 'reset')}."
    raise Broken(f"{show(again)} after reset, {show(fresh)} fresh", "equal", why, fix)


@check("compute-repeatable")
def compute_repeatable(case: MetricCase) -> Measured:
    """compute() twice agrees and does not disturb what follows."""
    case.need_object()
    parts = _split(eight_samples(case), 5, 3)
    metric = case.fed(parts[:1])
    first, second = case.numbers(metric), case.numbers(metric)
    full = case.values(parts[1:], metric)
    whole = case.values(parts)
    if close(first, second) and close(full, whole):
        return Measured(show(first), "equal, and later updates count on")
    why = "compute() changes the state."
    fix = f"Only read the counters in {_in(case, 'compute')}."
    raise Broken(f"{show(first)}, then {show(second)}", "equal", why, fix)


@check("batch-of-one")
def batch_of_one(case: MetricCase) -> Measured:
    """Single samples can be fed."""
    if case.meter:
        raise Skip("a running average of numbers")
    inputs = eight_samples(case)
    singles = _split(inputs, *[1] * 8)
    if not case.is_object:
        return Measured(show(case.values(singles[:1])), "a number")
    once, parts = case.values([inputs]), case.values(singles)
    if close(once, parts):
        return Measured(f"{show(parts)} one by one", "equal to all at once")
    line = case.source.point(r"squeeze\(\)", r"mean\(")
    why = "Samples fed one by one give another value."
    raise Broken(f"{show(parts)}, {show(once)} at once", "equal", why, f"Keep the batch dimension at {line}.")


@check("ignored-elements")
def ignored_elements(case: MetricCase) -> Measured:
    """Ignored elements do not count, and a batch of them changes nothing."""
    hard = case.family in ("pixels-hard", "classes-hard")
    if not hard:
        case.require(*INDEXED)
    label = case.contract.ignore_index
    label = case.builder.default("ignore_index") if label is None else label
    if not isinstance(label, int):
        raise Skip("no ignore_index in the contract or the constructor")
    inputs = mixed(case, 1)
    where = torch.rand(inputs[case.target].shape, generator=torch.Generator().manual_seed(4)) < 0.4
    ignored = {**inputs, case.target: inputs[case.target].masked_fill(where, label)}
    other = case.inputs(33, B=8)[case.pred]
    spot = where if hard else where.unsqueeze(case.class_dim).expand_as(other)
    moved = {**ignored, case.pred: torch.where(spot, other, ignored[case.pred])}
    line = case.source.point(r"(!=|==) ?(self\.)?ignore", r"valid|mask", r"bincount|==|one_hot")
    first, second = case.values([ignored]), case.values([moved])
    if not close(first, second):
        why = f"Predictions at elements labelled {label} change the value."
        raise Broken(f"{show(first)}, {show(second)}", "equal", why, f"Leave them out at {line}.")
    if case.is_object:
        nothing = {**inputs, case.target: torch.full_like(inputs[case.target], label)}
        after = case.values([ignored, nothing])
        if not close(first, after):
            why = f"A batch in which all is {label} changes the value."
            raise Broken(
                f"{show(after)}, {show(first)} without it", "equal", why, f"Count valid elements only at {line}."
            )
    return Measured(show(first), "ignored elements have no influence")


@check("no-graph")
def no_graph(case: MetricCase) -> Measured:
    """Predictions that are part of a graph leave no graph behind."""
    case.need_object()
    inputs = case.inputs()
    if not inputs[case.pred].is_floating_point():
        raise Skip("its predictions are labels")
    given = {**inputs, case.pred: inputs[case.pred].clone().requires_grad_() * 1}
    metric = case.fed([given])
    kept = [name for name, value in vars(metric).items() if any(t.grad_fn is not None for t in tensors(value))]
    if not kept:
        return Measured("no graph kept", "no graph kept")
    line = case.source.point(rf"self\.{kept[0]}\s*[-+]?=|self\.{kept[0]}\.append", r"self\.\w+")
    why = "Every batch's graph stays alive through the epoch: memory grows."
    raise Broken(f"self.{kept[0]} holds a graph", "none", why, f"Detach in update() at {line}.")


@check("empty")
def empty(case: MetricCase) -> Measured:
    """compute() before any update does not divide by zero."""
    case.need_object()
    try:
        found = case.numbers(case.fresh())
    except ZeroDivisionError as error:
        line = case.source.raised_at(error) or _in(case, "compute")
        why = "A rank without data ends in an exception."
        raise Broken("ZeroDivisionError", "nan, 0 or a clear error", why, f"Guard the divisor at {line}.") from error
    except Exception as error:
        return Measured(f"raises {type(error).__name__}", "nan, 0 or a clear error")
    return Measured(show(found) or "nothing", "nan, 0 or a clear error")


@check("merge")
def merge(case: MetricCase) -> Measured:
    """Two objects merged give what one gives for all."""
    case.need_object()
    if not case.names["merge"]:
        raise Skip("it has no merge")
    parts = _split(eight_samples(case), 5, 3)
    whole = case.values(parts)
    left, right = case.fed(parts[:1]), case.fed(parts[1:])
    function = getattr(left, case.names["merge"])
    try:
        merged = function(right)
    except (TypeError, AttributeError, NotImplementedError, RuntimeError) as refusal:
        if "not supported" in str(refusal):
            raise Skip(f"merging is refused: {str(refusal)[:80]}") from refusal
        try:
            merged = function([right])
        except Exception as error:
            raise Skip(f"merge takes something else ({type(error).__name__})") from error
    got = case.numbers(left if merged is None or not hasattr(merged, case.names["compute"]) else merged)
    if close(got, whole):
        return Measured(show(got), "as one object for all")
    why = "Merged parts do not give the value of the union."
    fix = f"Add the counts of both in {_in(case, 'merge')}."
    raise Broken(f"{show(got)} merged, {show(whole)} at once", "equal", why, fix)


@check("ranks")
def ranks(case: MetricCase) -> Measured:
    """Two ranks with uneven parts give the value of the union."""
    case.need_object()
    if not case.source.first(r"\bdist\.|distributed|all_reduce|all_gather"):
        raise Skip("it does not speak of torch.distributed")
    parts = _split(eight_samples(case), 5, 3)
    whole = case.values(parts)
    try:
        got = [_on_ranks(case, parts)[rank] for rank in (0, 1)]
    except Exception as error:
        if case.source.raised_at(error) is None:
            raise Skip(f"its collectives cannot be imitated here ({type(error).__name__})") from error
        raise
    if all(close(value, whole) for value in got):
        return Measured(show(got[0]), "as one process for all")
    line = case.source.point(r"all_reduce|all_gather|reduce\(", r"world_size|/", r"def compute")
    raise Broken(
        f"{show(got[0])} and {show(got[1])} on two ranks, {show(whole)} in one process",
        "equal",
        "The reduced metric is not the metric of the union.",
        f"Sum the counts over the ranks, then divide, at {line}: never the mean of the ranks' ratios.",
    )


def _on_ranks(case: MetricCase, parts: list[Inputs]) -> list[list[float]]:
    """Imitate two ranks: record what each gives to every collective, then answer with both.

    Sound as long as what a rank gives does not depend on an answer; a third pass settles one step of dependence.
    """
    given: list[list[Any]] = [[], []]
    results: list[list[float]] = [[], []]
    for _ in range(3):
        recorded: list[list[Any]] = [[], []]
        for rank in (0, 1):
            with _Collectives(rank, given, recorded[rank]):
                metric = case.fed([parts[rank]])
                for name in ("sync", "synchronize", "all_reduce", "reduce", "synchronize_between_processes"):
                    if callable(getattr(metric, name, None)) and not hasattr(torch.nn.Module, name):
                        getattr(metric, name)()
                        break
                results[rank] = case.numbers(metric)
        given = recorded
    return results


class _Collectives:
    """torch.distributed as one of two ranks sees it, for sums, maxima and gathers."""

    def __init__(self, rank: int, given: list[list[Any]], recorded: list[Any]) -> None:
        self.rank, self.given, self.recorded = rank, given, recorded
        self.saved: dict[str, Any] = {}

    def __enter__(self) -> None:
        fakes: dict[str, Callable[..., Any]] = {
            "is_available": lambda: True,
            "is_initialized": lambda: True,
            "get_rank": lambda group=None: self.rank,
            "get_world_size": lambda group=None: 2,
            "barrier": lambda *args, **kwargs: None,
            "all_reduce": self._all_reduce,
            "reduce": lambda tensor, dst=0, op=dist.ReduceOp.SUM, **kwargs: self._all_reduce(tensor, op),
            "all_gather": self._all_gather,
            "all_gather_object": self._all_gather_object,
            "all_gather_into_tensor": lambda out, tensor, **kwargs: out.copy_(torch.cat(self._both(tensor))),
        }
        for name, fake in fakes.items():
            self.saved[name] = getattr(dist, name, None)
            setattr(dist, name, fake)

    def __exit__(self, *args: Any) -> None:
        for name, function in self.saved.items():
            setattr(dist, name, function)

    def _both(self, value: Any) -> list[Any]:
        """What both ranks give to this collective; the own value until the other's is known."""
        number = len(self.recorded)
        self.recorded.append(value.clone() if isinstance(value, torch.Tensor) else value)
        other = self.given[1 - self.rank]
        theirs = other[number] if number < len(other) else value
        pair = [value, theirs] if self.rank == 0 else [theirs, value]
        return [part.clone() if isinstance(part, torch.Tensor) else part for part in pair]

    def _all_reduce(self, tensor: Any, op: Any = dist.ReduceOp.SUM, **kwargs: Any) -> None:
        first, second = self._both(tensor)
        if op == dist.ReduceOp.MAX:
            result = torch.maximum(first, second)
        elif op == dist.ReduceOp.MIN:
            result = torch.minimum(first, second)
        else:
            result = first + second
            result = result / 2 if op == dist.ReduceOp.AVG else result
        tensor.copy_(result)

    def _all_gather(self, out: list[Any], tensor: Any, **kwargs: Any) -> None:
        for place, value in zip(out, self._both(tensor)):
            place.copy_(value)

    def _all_gather_object(self, out: list[Any], value: Any, **kwargs: Any) -> None:
        out[:] = self._both(value)


@check("device")
def device(case: MetricCase) -> Measured:
    """Counters made in the constructor move with the module."""
    metric = case.fresh()
    if not isinstance(metric, torch.nn.Module) or not case.is_object:
        raise Skip("not a module")
    moved = metric.to("meta")
    left = [name for name, value in state_of(moved).items() if value.device.type == "cpu" and value.numel() > 0]
    if not left:
        return Measured("all counters move", "none stays")
    line = case.source.point(rf"self\.{left[0]}\s*=", r"torch\.zeros")
    why = "A counter stays on the CPU when the metric moves."
    raise Broken(f"self.{left[0]} stays", "none stays", why, f"register_buffer at {line}.")
