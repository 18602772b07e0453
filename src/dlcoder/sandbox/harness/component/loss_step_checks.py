"""Checks of a loss whose terms belong to single steps or samples: policies, temporal differences, learned scalars."""

from __future__ import annotations

import dataclasses
import re
import warnings

import torch
from torch import Tensor, nn

from . import judge, roles
from .core import Broken, Measured, Skip, Subject
from .layouts import BINARY, INDEXED
from .loss import Inputs, LossCase
from .loss_checks import check

_ADVANTAGES = (2.0, -2.0, 1.0, -1.0)


@check("policy")
def policy(case: LossCase) -> Measured:
    """The slope at each action's log-probability: against its advantage, and none beyond the clip range."""
    case.require("policy")
    old, new, advantage = _policy_inputs(case)
    inputs = case.inputs()
    inputs[advantage] = torch.tensor(_ADVANTAGES)
    base = inputs[old] if old else inputs[new]
    slope = _slope(case, {**inputs, new: base.clone()}, new)
    line = case.source.point(r"min\(|max\(|clamp", r"adv", r"return")
    if any(float(s) * a > 1e-9 for s, a in zip(slope, _ADVANTAGES)):
        why = "Descending the loss makes good actions rarer and bad ones likelier."
        raise Broken(_shown(slope), "against the advantages 2, -2, 1, -1", why, f"Turn the sign at {line}.")
    _entropy_is_a_bonus(case, inputs)
    if old and _is_clipped(case):
        _clips(case, {**inputs, old: base}, old, new, line)
    return Measured(_shown(slope), "against the advantages 2, -2, 1, -1")


def _entropy_is_a_bonus(case: LossCase, inputs: Inputs) -> None:
    """More entropy must not cost more: it is what keeps a policy exploring."""
    name = next((s.name for s in case.specs if re.search(r"(^|_)ent(ropy|ropies)?(_|$)", s.name.lower())), None)
    slope = case.value_and_grad(inputs, None, name)[1] if name else None
    if slope is not None and judge.total(slope) > 1e-9:
        line = case.source.point(r"ent\w*_?(coef|weight|beta)", rf"\b{name}\b", r"return")
        why = "A policy that is more random costs more: the bonus for exploring is a penalty."
        raise Broken(f"slope {judge.total(slope):.3g} for {name}", "< 0", why, f"Subtract the entropy at {line}.")


def _policy_inputs(case: LossCase) -> tuple[str, str, str]:
    """The names of the old log-probabilities (empty if there are none), the new ones, and the advantages."""
    names = [spec.name for spec in case.specs]
    advantage = next(n for n in names if re.search(roles.ADVANTAGE, n.lower()))
    scores = [n for n in names if re.search(roles.LOG_PROB, n.lower())]
    fixed = r"(^|_)(ref|reference)(_|$)"
    old = [n for n in scores if re.search(roles.OLD, n.lower()) and not re.search(fixed, n.lower())]
    new = [n for n in scores if n not in old and not re.search(fixed, n.lower())]
    if len(new) != 1 or len(old) > 1:
        raise Skip("which log-probabilities are the policy's is not told by their names")
    return (old[0] if old else ""), new[0], advantage


def _slope(case: LossCase, inputs: Inputs, name: str) -> Tensor:
    slope = case.value_and_grad(inputs, None, name)[1]
    if slope is None or slope.numel() != len(_ADVANTAGES):
        raise Skip("no gradient for each action")
    return judge.wide(slope).flatten()


def _is_clipped(case: LossCase) -> bool:
    names = [*case.builder.parameters, *(spec.name for spec in case.specs)]
    said = re.search(r"ppo|clip", f"{case.builder.target.__name__} {case.source.code()}", re.I)
    return bool(said) and not any(re.search(r"kl|ref|entropy", name) for name in names)


def _clips(case: LossCase, inputs: Inputs, old: str, new: str, line: str) -> None:
    """At a ratio far outside the clip range, only the pull back into it may be left."""
    for shift, way in ((0.6, 1.0), (-0.9, -1.0)):
        slope = _slope(case, {**inputs, new: inputs[old] + shift}, new)
        usual = max(abs(float(s)) for s in slope)
        for push, advantage in zip(slope.tolist(), _ADVANTAGES):
            ratio = float(torch.tensor(shift).exp())
            if advantage * way > 0 and abs(push) > 1e-3 * max(usual, 1e-9):
                why = f"At a ratio of {ratio:.2f} an advantage of {advantage:g} still pushes further out: no clipping."
                raise Broken(f"slope {push:.3g}", "0", why, f"-min(ratio * adv, clipped * adv).mean() at {line}.")
            if advantage * way < 0 and abs(push) < 1e-9:
                why = f"At a ratio of {ratio:.2f} an advantage of {advantage:g} no longer pulls back: max for min."
                raise Broken("slope 0", "a slope", why, f"-min(ratio * adv, clipped * adv).mean() at {line}.")


def _shown(values: Tensor) -> str:
    return ", ".join(f"{float(value):.3g}" for value in values)


@check("predictors")
def predictors(case: LossCase) -> Measured:
    """Predictions of one view at the projections of the other, and samples one by one."""
    case.require("predictors")
    inputs = case.inputs()
    first, second = [n for n in inputs if n[0].lower() in "pq"]
    one, two = [n for n in inputs if n not in (first, second)]
    crossed = case.value({**inputs, first: inputs[two].clone(), second: inputs[one].clone()})
    own = case.value({**inputs, first: inputs[one].clone(), second: inputs[two].clone()})
    away = case.value({**inputs, first: -inputs[two], second: -inputs[one]})
    line = case.source.point(r"cosine|mse|normalize|\*", r"return")
    if not crossed < away or not crossed < own:
        why = "Predictions that equal the other view's projections do not cost least."
        shown = f"{crossed:.4g} crossed, {own:.4g} with the own view, {away:.4g} opposite"
        raise Broken(shown, "lowest when crossed", why, f"-cos({first}, {two}) - cos({second}, {one}) at {line}.")
    single = [case.value({n: v[row : row + 1] for n, v in inputs.items()}) for row in range(4)]
    whole, mean = case.value({n: v[:4] for n, v in inputs.items()}), sum(single) / 4
    if not judge.close(whole, mean, 1e-3, 1e-5) and not judge.close(whole, 4 * mean, 1e-3, 1e-5):
        why = "The value of a batch is not the mean of its samples': vectors are compared across the batch."
        raise Broken(f"{whole:.4g}, samples alone {mean:.4g}", "equal", why, f"dim=-1 at {line}.")
    return Measured(f"{crossed:.4g} crossed, {own:.4g} with the own view", "lowest when crossed")


@check("broadcast")
def broadcast(case: LossCase) -> Measured:
    """The warning of torch that prediction and truth are broadcast against each other."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        case.attempt(lambda: case.raw(case.inputs()))
    for warning in caught:
        text = str(warning.message)
        if "target size" in text and "different to the input size" in text:
            sizes = re.findall(r"torch\.Size\(\[([^\]]*)\]\)", text)
            shown = " against ".join(f"({size})" for size in reversed(sizes))
            line = case.source.quote(warning.lineno) if warning.filename == case.source.file else ""
            line = line or case.source.point(r"mse_loss|l1_loss|huber", r"unsqueeze|squeeze|gather", r"return")
            why = "Each prediction is compared with every sample's truth: the loss fits the mean of the batch."
            raise Broken(shown, "equal shapes", why, f"squeeze(-1) or unsqueeze(-1) one of the two at {line}.")
    return Measured("none", "prediction and truth are not broadcast")


@check("terms")
def terms(case: LossCase) -> Measured:
    """Parts that are returned beside their sum, each at the truth and at chance."""
    case.require(*INDEXED, *BINARY)
    if not case.plain_extras() or not case.has_truth():
        raise Skip("a further input decides where the optimum lies")
    rows = [_parts(case, case.inputs(seed)) for seed in range(1, 11)]
    if len(rows[0]) < 3 or len({tuple(row) for row in rows}) != 1:
        raise Skip("it returns no terms beside their sum")
    names, total = list(rows[0])[1:], next(iter(rows[0]))
    table = torch.tensor([[*(row[n] for n in names), 1.0] for row in rows], dtype=torch.float64)
    sums = torch.tensor([row[total] for row in rows], dtype=torch.float64)
    weights = torch.linalg.lstsq(table, sums.unsqueeze(1)).solution.flatten()
    if judge.distance(table @ weights, sums) > 1e-4 * max(judge.max_abs(sums), 1e-3):
        raise Skip("what is returned beside it does not sum up to it")
    inputs = case.inputs()
    right, wrong = (_parts(case, case.perfect(inputs, 12.0, shift=shift)) for shift in (0, 1))
    for name, weight in zip(names, weights.tolist()):
        if weight > 0.01 and right[name] > wrong[name] + 0.05 * abs(wrong[name]) + 1e-3:
            line = case.source.point(rf"\b{name}\w*\s*=(?!=)", rf"\b{name}\b", r"return")
            why = f"{name}, a term of the sum, costs more at the truth than at wrong classes: a score taken for a loss."
            raise Broken(
                f"{name}: {right[name]:.4g} at the truth, {wrong[name]:.4g} when wrong",
                "lower at the truth",
                why,
                f"1 - {name}, or a turned sign, at {line}.",
            )
    return Measured(", ".join(names), "each is lower at the truth")


def _parts(case: LossCase, inputs: Inputs) -> dict[str, float]:
    """The numbers that the loss returns, by name, the sum first."""
    result = case.raw(inputs)
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        result = {item.name: getattr(result, item.name) for item in dataclasses.fields(result)}
    elif isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict):
        result = {"loss": result[0], **{k: v for k, v in result[1].items() if v is not result[0]}}
    elif isinstance(result, tuple):
        result = {
            getattr(result, "_fields", {i: f"[{i}]" for i in range(len(result))})[i]: v for i, v in enumerate(result)
        }
    if not isinstance(result, dict):
        return {}
    numbers = {str(k): judge.number(v) for k, v in result.items() if isinstance(v, (float, Tensor)) and _is_one(v)}
    total = next((k for k in ("loss", "total", "total_loss", "loss_total") if k in numbers), next(iter(numbers), ""))
    return {total: numbers.pop(total), **numbers} if total else {}


def _is_one(value: float | Tensor) -> bool:
    return isinstance(value, float) or value.numel() == 1


_LEARNED = r"log_?scale|logit_?scale|log_?temp\w*|log_?sigma|log_?var\w*|logit_?bias|learn\w*|\w*_learned"


@check("learned-scalars")
def learned_scalars(case: LossCase) -> Measured:
    """A number that is learned by its name or documentation is a parameter."""
    module = case.fresh()
    if not isinstance(module, nn.Module):
        raise Skip("not a module")
    unregistered(case, module)
    return Measured("none", "no learned number outside the parameters")


def unregistered(case: Subject, module: nn.Module) -> None:
    """Hold plain tensors of a module against what their names and documentation say of them.

    Raises:
        Broken: One requires a gradient, or is said to be learned, and is no parameter.
    """
    for owner in module.modules():
        for name, value in vars(owner).items():
            if not isinstance(value, Tensor) or name.startswith("_") or not value.is_floating_point():
                continue
            said = rf"learn\w*[^\n.]*\b{name}\b|\b{name}\b[^\n.]*\b(learn|train)(ed|able|ing)?\b"
            learned = re.fullmatch(_LEARNED, name) or re.search(said, case.source.docs())
            if value.requires_grad or (learned and not re.search(rf"\b{name}\b[^\n.]*fixed", case.source.docs())):
                line = case.source.point(rf"self\.{name}\s*(:[^=]*)?=")
                why = f"self.{name} is a plain tensor: no optimizer, checkpoint or device move ever sees it."
                fix = f"nn.Parameter(...) at {line}, or register_buffer if it is a constant."
                raise Broken(f"self.{name}: torch.Tensor", "nn.Parameter", why, fix)
