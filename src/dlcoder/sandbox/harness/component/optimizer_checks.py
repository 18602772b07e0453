"""Checks of optimizers, schedules, parameter groups and averages."""

from __future__ import annotations

import copy
import io
import math
import re
from typing import Any

import torch
from torch import Tensor, nn

from . import judge
from .core import Battery, Broken, Measured, Skip, reseed
from .optimizer import _LOW, _PEAK, _WARMUP, Net, OptimizerCase, quadratic, start

BATTERY: Battery[OptimizerCase] = Battery("optimizer")
check = BATTERY.check
_STEP = (r"add_\(|addcdiv_|sub_\(|-=|\+=|copy_\(", r"def step")


@check("descends")
def descends(case: OptimizerCase) -> Measured:
    """A quadratic falls."""
    case.need("optimizer")
    first = judge.number(quadratic(start()))
    last = first
    for changes in ({}, {"lr": 0.01}):
        try:
            last = min(last, judge.number(quadratic(case.stepped(60, **changes)[1])))  # type: ignore[arg-type]
        except TypeError:
            continue
    if last < 0.9 * first:
        return Measured(f"{first:.4g} to {last:.4g} in 60 steps", "falls")
    line = case.source.point(*_STEP)
    raise Broken(f"{first:.4g} to {last:.4g}", "falls", "It does not lower a quadratic.", f"Check the sign at {line}.")


@check("moves-what-it-should")
def moves(case: OptimizerCase) -> Measured:
    """No gradient, no move; a group with rate 0 stays."""
    case.need("optimizer")
    line = case.source.point(r"grad is None|continue", r"group\[.lr.\]|lr", *_STEP)
    moving, idle, still = (nn.Parameter(torch.ones(3)) for _ in range(3))
    optimizer = case.make_optimizer([{"params": [moving, idle]}, {"params": [still], "lr": 0.0}])
    for _ in range(2):
        case.step(optimizer, lambda: moving.square().sum() + still.square().sum())
    if judge.max_abs(idle - 1) > 0:
        raise Broken("it moves", "it stays", "A parameter without a gradient moves.", f"Skip grad is None at {line}.")
    if judge.max_abs(still - 1) > 0:
        why = "A group with lr=0 moves: the group's own rate is not used."
        raise Broken("it moves", "it stays", why, f"Read lr from the group at {line}.")
    if judge.max_abs(moving - 1) == 0:
        raise Broken("it stays", "it moves", "A parameter with a gradient stays.", f"Check {line}.")
    return Measured("as they should", "only those with gradient and rate")


@check("weight-decay")
def weight_decay(case: OptimizerCase) -> Measured:
    """Decay shrinks weights; where the name says decoupled, the gradient's scale does not matter to it."""
    case.need("optimizer")
    case.need_plain_steps()
    if "weight_decay" not in case.builder.parameters:
        raise Skip("the constructor takes no weight_decay")
    line = case.source.point(r"weight_decay(?!\s*[:=])|\bwd\b|decay")
    paths = [case.stepped(6, weight_decay=decay)[1][0].detach() for decay in (0.0, 0.1)]
    shift = judge.wide(paths[1] - paths[0])
    if judge.max_abs(shift) == 0:
        raise Broken("no effect", "it shrinks", "weight_decay has no effect.", f"Apply it at {line}.")
    toward = judge.dot(shift, paths[0])
    if toward > 0 and not case.source.first(r"maximize"):
        raise Broken("it grows", "it shrinks", "weight_decay drives weights away from 0.", f"Check the sign at {line}.")
    if re.search(r"adamw|decoupled|lion|lamb|sgdw", case.builder.target.__name__, re.I):
        shift = judge.wide(_first_step(case, 1.0, 0.1) - _first_step(case, 1.0, 0.0))
        slow = judge.wide(_first_step(case, 1.0, 0.1, 0.005) - _first_step(case, 1.0, 0.0, 0.005))
        fast = judge.wide(_first_step(case, 1.0, 0.1, 0.01) - _first_step(case, 1.0, 0.0, 0.01))
        if judge.max_abs(slow) > 1e-7 and not 1.8 < judge.max_abs(fast) / judge.max_abs(slow) < 2.2:
            why = "Decay does not scale with the rate: schedules and warm-up do not reach it."
            raise Broken("not in proportion to lr", "in proportion", why, f"p.mul_(1 - lr * weight_decay) at {line}.")
        large = judge.wide(_first_step(case, 100.0, 0.1) - _first_step(case, 100.0, 0.0))
        if judge.max_abs(shift) < 1e-6 or judge.distance(large, shift) > 0.05 * judge.max_abs(shift) + 1e-6:
            why = "Decay depends on the size of the gradient: it is added to the gradient instead of the weight."
            raise Broken("coupled", "decoupled", why, f"p.mul_(1 - lr * weight_decay) before the step, at {line}.")
    return Measured(f"shrinks by {judge.max_abs(shift):.3g}", "shrinks")


def _first_step(case: OptimizerCase, scale: float, decay: float, rate: float | None = None) -> Tensor:
    parameters = start()
    more = {"lr": rate} if rate is not None and "lr" in case.builder.parameters else {}
    optimizer = case.make_optimizer(parameters, weight_decay=decay, **more)
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, scale)
    optimizer.step()
    return parameters[0].detach()


_TWINS = ("AdamW", "Adam", "SGD", "RMSprop", "Adagrad", "NAdam", "RAdam", "Adamax", "Adadelta")


@check("reference")
def reference(case: OptimizerCase) -> Measured:
    """Twenty steps beside torch's optimizer of the same name."""
    case.need("optimizer")
    case.need_plain_steps()
    name = re.sub(
        r"^(My|Simple|Custom|Plain|Basic|Mini|Tiny|Our|Manual)|(Optimizer|Optim|Scratch)$",
        "",
        case.builder.target.__name__,
    )
    twin = next((t for t in _TWINS if t.lower() == name.lower()), None)
    if twin is None or issubclass(case.builder.target, getattr(torch.optim, twin)):
        raise Skip("torch has no other optimizer of this name")
    import inspect

    theirs = set(inspect.signature(getattr(torch.optim, twin)).parameters)
    mine = case.builder.parameters
    shared: dict[str, Any] = {"lr": 0.05}
    for key, parameter in list(mine.items())[1:]:
        if key in theirs and parameter.default is not parameter.empty and key != "lr":
            shared[key] = parameter.default
    for extra in ({}, {"weight_decay": 0.1}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}):
        if not set(extra) <= set(mine) or not set(extra) <= theirs:
            continue
        gap = _beside(case, twin, {**shared, **extra})
        if gap > 1e-4:
            line = case.source.point(r"bias_correction|beta\d? ?\*\*|pow\(", r"sqrt|eps", *_STEP)
            setting = ", ".join(f"{k}={v}" for k, v in extra.items()) or "defaults"
            why = f"With {setting} it leaves the path of torch.optim.{twin}."
            raise Broken(f"{gap:.3g} apart after 20 steps", "<= 1e-4", why, f"Compare {line} with the paper.")
    return Measured(f"on the path of torch.optim.{twin}", "<= 1e-4 apart")


def _beside(case: OptimizerCase, twin: str, options: dict[str, Any]) -> float:
    mine, theirs = start(), start()
    accepted = {k: v for k, v in options.items() if k in case.builder.parameters}
    first = case.make_optimizer(mine, **accepted)
    second = getattr(torch.optim, twin)(theirs, **options)
    for _ in range(20):
        for optimizer, parameters in ((first, mine), (second, theirs)):
            optimizer.zero_grad()
            quadratic(parameters).backward()
            optimizer.step()
    return max(judge.distance(a, b) for a, b in zip(mine, theirs))


@check("resume")
def resume(case: OptimizerCase) -> Measured:
    """Three steps, save, load into a new one, seven steps equal ten."""
    case.need("optimizer")
    straight = case.stepped(10)[1]
    optimizer, parameters = case.stepped(3)
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)
    copies = [nn.Parameter(parameter.detach().clone()) for parameter in parameters]
    other = case.make_optimizer(copies)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    case.stepped(7, other, copies)
    gap = max(judge.distance(a, b) for a, b in zip(straight, copies))
    if gap == 0:
        return Measured("bit for bit", "bit for bit")
    line = case.source.point(r"self\.(?!state|param_groups|defaults)\w+\s*(=|\+=)", r"self\.state|state\[", r"def step")
    why = "A resumed run leaves the path: something is not in the state dict."
    raise Broken(f"{gap:.3g} apart", "0", why, f"Keep it in self.state[p] or the group at {line}.")


@check("closure")
def closure(case: OptimizerCase) -> Measured:
    """A closure is evaluated with gradients on, and its loss returned."""
    case.need("optimizer")
    parameters = start()
    optimizer = case.make_optimizer(parameters)

    def evaluate() -> Tensor:
        optimizer.zero_grad()
        loss = quadratic(parameters)
        loss.backward()
        return loss

    expected = judge.number(quadratic(parameters))
    try:
        found = optimizer.step(evaluate)
    except (RuntimeError, TypeError) as error:
        line = case.source.raised_at(error) or case.source.point(r"closure", r"def step")
        why = "step(closure) raises; Lightning and LBFGS-style loops use it."
        fix = f"Evaluate it under torch.enable_grad() at {line}."
        raise Broken(f"{type(error).__name__}: {error}", "the loss", why, fix) from error
    if found is None or not judge.close(judge.number(found), expected, 1e-5, 1e-6):
        line = case.source.point(r"closure", r"return", r"def step")
        raise Broken(str(found), f"{expected:.5g}", "step(closure) does not return the loss.", f"Return it at {line}.")
    return Measured(f"{expected:.5g}", "the loss")


@check("state-clean")
def state_clean(case: OptimizerCase) -> Measured:
    """Nothing in state or parameters is part of a graph."""
    case.need("optimizer")
    _keeps_gradients(case)
    optimizer, parameters = case.stepped(2)
    line = case.source.point(r"no_grad", *_STEP)
    for parameter in parameters:
        if not parameter.is_leaf or parameter.grad_fn is not None:
            raise Broken("a parameter has a graph", "none", "Memory grows.", f"Step under torch.no_grad() ({line}).")
        for key, value in optimizer.state[parameter].items():
            if isinstance(value, Tensor) and (value.requires_grad or value.grad_fn is not None):
                why = f"state[{key!r}] holds a graph: memory grows with every step."
                raise Broken(f"{key} has a graph", "none", why, f"Step under torch.no_grad() ({line}).")
    return Measured("no graph, gradients unchanged", "no graph, gradients unchanged")


def _keeps_gradients(case: OptimizerCase) -> None:
    """The first two steps must leave the gradients as they are: one that becomes a state is written to by the next."""
    if case.needs_closure:
        return
    optimizer, parameters = case.stepped(0)
    for _ in range(2):
        for parameter in parameters:
            parameter.grad = torch.linspace(-1, 2, parameter.numel()).view_as(parameter)
        before = [parameter.grad.clone() for parameter in parameters if parameter.grad is not None]
        optimizer.step()
        after = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if len(before) != len(after) or not all(map(judge.identical, before, after)):
            line = case.source.point(r"=\s*p\w*\.grad(?!\.)(\.data)?\s*$", *_STEP)
            why = "step() writes to the gradient: accumulation and logging see other values."
            raise Broken("grad changed", "unchanged", why, f"Work on a copy, clone() or zeros_like(), at {line}.")


@check("parameters-count")
def parameters_count(case: OptimizerCase) -> Measured:
    """Every number in the constructor changes the path."""
    case.need("optimizer")
    fast = {"lr": 0.3} if "lr" in case.builder.parameters else {}
    settings = [(6, {}), (25, fast)]
    bases = [case.stepped(steps, **more)[1] for steps, more in settings]
    tried = []
    for name, parameter in list(case.builder.parameters.items())[1:]:
        default = case.arguments().get(name, parameter.default)
        for place in _places(default):
            options = _other_values(default, place)
            verdict = _has_effect(case, name, options, bases, settings)
            if verdict is None:
                continue
            label = name if place is None else f"{name}[{place}]"
            tried.append(label)
            if not verdict:
                line = case.source.point(rf"\b{name}\b(?!\s*[:=])", rf"\b{name}\b")
                why = f"{label} does not change the path."
                raise Broken(f"{label} has no effect", "an effect", why, f"Use {label} at {line}.")
    return Measured(", ".join(tried) or "none", "each changes the path")


def _places(default: Any) -> list[int | None]:
    """What of an argument to vary: the number itself, or each of a tuple of numbers."""
    if isinstance(default, tuple) and 2 <= len(default) <= 3 and all(isinstance(v, float) for v in default):
        return list(range(len(default)))
    return [None] if isinstance(default, float) and not isinstance(default, bool) else []


def _other_values(default: Any, place: int | None) -> list[Any]:
    if place is None:
        return [default * 0.5 if default else 0.1, 0.3, 0.9]
    others = [default[place] * 0.5, 0.3, 0.95]
    return [(*default[:place], other, *default[place + 1 :]) for other in others]


def _has_effect(
    case: OptimizerCase, name: str, options: list[Any], bases: list[Any], settings: list[Any]
) -> bool | None:
    """Whether one of the values changes a path; None if none is accepted."""
    moved = None
    for option in options:
        for base, (steps, more) in zip(bases, settings):
            try:
                other = case.stepped(steps, **{**more, name: option})[1]
            except (ValueError, TypeError, AssertionError):
                continue
            moved = bool(moved) or any(judge.distance(a, b) > 0 for a, b in zip(base, other))
        if moved:
            return True
    return moved


def _needs_schedule(case: OptimizerCase) -> list[float]:
    case.need("scheduler", "rate")
    return case.trace(case.total + 6)


@check("schedule")
def schedule(case: OptimizerCase) -> Measured:
    """Finite, not negative, up to the peak and not above, without a jump."""
    rates = _needs_schedule(case)
    peak = _peak(case, rates)
    shown = ", ".join(f"{rate:.3g}" for rate in rates[:7])
    line = case.source.point(r"warm", r"cos|min\(|max\(", r"/|step")
    if not all(math.isfinite(rate) and rate >= 0 for rate in rates):
        raise Broken(shown, "finite, >= 0", "A rate is negative or not finite.", f"Guard {line}.")
    if (
        case.form == "scheduler"
        and max(rates) > peak * 1.0001
        and not re.search(r"one_?cycle|cyclic", case.builder.target.__name__, re.I)
    ):
        raise Broken(f"{max(rates):.4g}", f"<= {peak:.4g}", "The rate exceeds its peak.", f"Correct {line}.")
    _rises_once(case, rates, line)
    has_warmup = any(re.fullmatch(_WARMUP, name, re.I) for name in case.builder.parameters)
    if has_warmup:
        _warms_up(case, rates, max(rates), shown, line)
    else:
        top = max(range(len(rates)), key=lambda i: rates[i])
        jump = max([abs(a - b) for a, b in zip(rates[1 : case.total], rates[: case.total - 1])] + [0.0])
        smooth = re.search(r"cosine|linear|poly", case.builder.target.__name__, re.I)
        if smooth and top == 0 and jump > 0.5 * max(rates):
            raise Broken(f"a jump of {jump:.3g}", f"< {0.5 * max(rates):.3g}", "The rate jumps.", f"Correct {line}.")
    return Measured(f"{shown}, ...", f"rises to {peak:.3g}, never above")


_CYCLES = r"cycl|restart|sgdr|triang|wave|period|plateau|adaptive"


def _rises_once(case: OptimizerCase, rates: list[float], line: str) -> None:
    """Once a rate has fallen from its peak it rises no more, unless it is said to be one of several cycles."""
    if re.search(_CYCLES, case.source.text, re.I):
        return
    peak = max(rates)
    low = peak
    for step in range(rates.index(peak), min(case.total, len(rates))):
        low = min(low, rates[step])
        if rates[step] > low + 0.15 * peak:
            shown = ", ".join(f"{rate:.3g}" for rate in rates[: case.total : max(case.total // 10, 1)])
            why = f"After its peak the rate falls to {low:.3g} and is up at {rates[step]:.3g} again at step {step}."
            raise Broken(shown, "no second rise", why, f"1 + cos(pi * progress) falls, 1 - cos rises: see {line}.")


def _peak(case: OptimizerCase, rates: list[float]) -> float:
    if case.form == "scheduler":
        return case.peak
    given = case.arguments() if not inspect_class(case) else case.arguments(skip=0)
    for name, parameter in case.builder.parameters.items():
        value = given.get(name, parameter.default)
        if re.fullmatch(_PEAK, name) and isinstance(value, float):
            return value
    return max(rates)


def _warms_up(case: OptimizerCase, rates: list[float], peak: float, shown: str, line: str) -> None:
    warmup = case.warmup
    rising = rates[: warmup + 1]
    if any(b < a - 1e-12 for a, b in zip(rising[:-1], rising[1:-1])):
        raise Broken(shown, "rising", f"The rate falls within the warm-up of {warmup}.", f"Correct {line}.")
    reached = min(i for i, rate in enumerate(rates) if rate >= peak * (1 - 1e-9))
    if not warmup - 1 <= reached <= warmup:
        why = f"The peak is reached at step {reached}, with a warm-up of {warmup}."
        raise Broken(shown, f"the peak at step {warmup - 1} or {warmup}", why, f"Correct {line}.")
    declared = _peak(case, rates)
    if peak < declared * 0.999:
        raise Broken(f"{peak:.4g}", f"{declared:.4g}", "The base rate is never reached.", f"Correct {line}.")
    steps = [b - a for a, b in zip(rates[:reached], rates[1 : reached + 1])]
    if steps and max(steps) > 2.2 * (peak / max(warmup, 1)) + 1e-12:
        raise Broken(shown, "even steps", "The warm-up jumps.", f"Correct {line}.")
    if rates[0] >= peak * 0.999 and warmup > 1:
        raise Broken(shown, "below the peak", "There is no warm-up.", f"Correct {line}.")
    drops = [a - b for a, b in zip(rates[reached:], rates[reached + 1 : case.total + 1])]
    if (
        drops
        and drops[0] > 0.05 * peak
        and drops[0] > 1.6 * max(drops[1:5] or [0.0])
        and re.search(r"cosine|linear|cos\\(", case.builder.target.__name__ + case.source.body(), re.I)
    ):
        why = "The rate drops right after the warm-up: progress is not counted from its end."
        raise Broken(shown, "continuous", why, f"Use (step - warmup) / (total - warmup) at {line}.")


@check("schedule-end")
def schedule_end(case: OptimizerCase) -> Measured:
    """Past its end the rate neither rises again nor goes on falling."""
    rates = _needs_schedule(case)
    named = case.builder.target.__name__ + " " + " ".join(case.builder.parameters)
    if not re.search(r"cosine|linear|poly|decay|warm|one_?cycle|total|max_steps|T_max", named, re.I):
        raise Skip("nothing says that it ends")
    if not any(
        re.search(r"total|max_|T_max|training|num_steps|decay_(steps|iters)", name, re.I)
        for name in case.builder.parameters
    ):
        raise Skip("it takes no length")
    end, past = rates[case.total], rates[case.total :]
    line = case.source.point(r"cos\(|progress", r"min\(|clamp|max\(", r"total|T_max")
    peak = max(rates)
    if max(past) > end + 1e-6 * peak + 1e-9:
        why = "After the last step the rate rises again."
        raise Broken(f"{end:.3g} to {max(past):.3g}", "flat", why, f"min(1, progress) at {line}.")
    low = case.low
    if low is None:
        name = next((n for n in case.builder.parameters if re.fullmatch(_LOW, n, re.I)), None)
        value = case.arguments(skip=0 if case.form == "rate" and inspect_class(case) else 1).get(name) if name else 0.0
        value = case.builder.parameters[name].default if name and value is None else value
        low = float(value) if isinstance(value, (int, float)) else None
        if low is not None and name and re.search(r"ratio|factor|floor", name):
            low = low * peak
    if low is not None and re.search(r"cosine|linear", named, re.I):
        if not judge.close(end, low, 0.02, 0.02 * peak):
            why = f"At step {case.total} the rate has not reached its minimum."
            raise Broken(f"{end:.4g}", f"{low:.4g}", why, f"Correct the progress at {line}.")
        middle = rates[(case.total + case.warmup) // 2] if "warm" in named.lower() else rates[case.total // 2]
        if not low - 1e-9 <= middle <= peak:
            raise Broken(
                f"{middle:.3g} half-way", f"in [{low:.3g}, {peak:.3g}]", "It leaves its range.", f"Correct {line}."
            )
    return Measured(f"{end:.3g} at the end", "flat from there")


def inspect_class(case: OptimizerCase) -> bool:
    """Whether the schedule is an object."""
    return isinstance(case.builder.target, type)


@check("schedule-resume")
def schedule_resume(case: OptimizerCase) -> Measured:
    """A schedule saved at step 7 goes on as one that was not."""
    case.need("scheduler")
    straight = case.trace(16)
    optimizer, schedule_ = case.schedule()
    if not hasattr(schedule_, "state_dict"):
        raise Skip("it has no state_dict")
    for _ in range(7):
        optimizer.step()
        schedule_.step()
    saved = copy.deepcopy((optimizer.state_dict(), schedule_.state_dict()))
    other, resumed = case.schedule()
    other.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    rates = []
    for _ in range(8):
        rates.append(float(other.param_groups[0]["lr"]))
        other.step()
        resumed.step()
    if all(judge.close(a, b, 1e-6, 1e-12) for a, b in zip(rates, straight[7:15])):
        return Measured("continues", "as without a break")
    line = case.source.point(r"def state_dict|load_state_dict", r"self\.\w*(step|count|last)\w*\s*(\+=|=)")
    why = "A resumed run has another rate."
    shown = ", ".join(f"{a:.3g}" for a in rates[:3])
    expected = ", ".join(f"{a:.3g}" for a in straight[7:10])
    raise Broken(shown, expected, why, f"Save every counter at {line}.")


@check("schedule-groups")
def schedule_groups(case: OptimizerCase) -> Measured:
    """A group with a tenth of the rate keeps a tenth."""
    case.need("scheduler")
    if any(re.fullmatch(r"peak|max_lr|base_lr|lr|peak_lr", name) for name in case.builder.parameters):
        raise Skip("it is given absolute rates")
    optimizer, schedule_ = case.schedule(groups=2)
    for _ in range(6):
        optimizer.step()
        schedule_.step()
    first, second = (float(group["lr"]) for group in optimizer.param_groups)
    if judge.close(second * 10, first, 1e-3, 1e-9):
        return Measured(f"{first:.3g} and {second:.3g}", "ratio 10")
    line = case.source.point(r"base_lrs|param_groups|\[.lr.\]")
    why = "All groups get the rate of the first."
    raise Broken(f"{first:.3g} and {second:.3g}", "ratio 10", why, f"Scale every group's own base rate at {line}.")


@check("groups-complete")
def groups_complete(case: OptimizerCase) -> Measured:
    """Set algebra over the groups."""
    case.need("groups")
    model = Net()
    groups = case.groups(model)
    members = [id(p) for group in groups for p in _params(group)]
    names = {id(p): name for name, p in model.named_parameters()}
    trainable = {id(p) for p in model.parameters() if p.requires_grad}
    line = case.source.point(r"append|\[\s*p\b|for .* in", r"return")
    twice = [names.get(i, "?") for i in set(members) if members.count(i) > 1]
    missing = [names[i] for i in trainable - set(members)]
    frozen = [names[i] for i in set(members) - trainable if i in names]
    if twice:
        raise Broken(f"twice: {', '.join(twice)}", "once", "A parameter is stepped twice.", f"Correct {line}.")
    if missing:
        raise Broken(f"missing: {', '.join(missing)}", "all", "Parameters are never trained.", f"Correct {line}.")
    if frozen and case.source.first(r"requires_grad"):
        raise Broken(f"frozen: {', '.join(frozen)}", "none", "Frozen parameters are in a group.", f"Correct {line}.")
    return Measured(f"{len(members)} parameters in {len(groups)} groups", "each exactly once")


def _params(group: dict[str, Any]) -> list[Any]:
    params = group["params"]
    return [params] if isinstance(params, Tensor) else list(params)


@check("groups-decay")
def groups_decay(case: OptimizerCase) -> Measured:
    """Norms and biases are in groups without decay."""
    case.need("groups")
    model = Net()
    groups = case.groups(model)
    rates = {id(p): group.get("weight_decay") for group in groups for p in _params(group)}
    if len(set(rates.values())) < 2:
        if len(groups) > 1 or case.source.first(r"no_decay|bias|ndim|norm"):
            line = case.source.point(r"weight_decay")
            why = "All groups have the same decay."
            raise Broken(f"{set(rates.values())}", "two values", why, f"Give no-decay group weight_decay=0 at {line}.")
        raise Skip("one decay for all")
    names = {name: p for name, p in model.named_parameters() if p.requires_grad}
    line = case.source.point(r"ndim|dim\(\)|bias|norm|endswith", r"weight_decay")
    wrong = [n for n, p in names.items() if (n.endswith("bias") or "norm" in n or "bn" in n) and rates.get(id(p))]
    lost = [n for n, p in names.items() if n in ("first.weight", "head.weight") and not rates.get(id(p))]
    if wrong or lost:
        shown = f"decayed: {', '.join(wrong)}" if wrong else f"not decayed: {', '.join(lost)}"
        why = "Decay on norms and biases hurts; weights without it overfit."
        raise Broken(shown, "weights decay, norms and biases do not", why, f"Split by p.ndim < 2 at {line}.")
    return Measured("norms and biases without decay", "norms and biases without decay")


def _averaged(average: Any, model: nn.Module) -> dict[str, Tensor]:
    """The averaged tensors of an EMA under the model's names.

    Raises:
        Skip: They were not found.
    """
    names = set(model.state_dict())
    for value in [*vars(average).values(), *(average._modules.values() if isinstance(average, nn.Module) else ())]:
        if isinstance(value, nn.Module) and value is not model and names <= set(value.state_dict()):
            return dict(value.state_dict())
    for value in vars(average).values():
        if (
            isinstance(value, dict)
            and value
            and names & set(value)
            and all(isinstance(v, Tensor) for v in value.values())
        ):
            return dict(value)
    trainable = [n for n, p in model.named_parameters() if p.requires_grad]
    for value in vars(average).values():
        if (
            isinstance(value, (list, tuple))
            and len(value) == len(trainable)
            and all(isinstance(v, Tensor) for v in value)
        ):
            return dict(zip(trainable, value))
    raise Skip("its averaged tensors were not found")


def _update(case: OptimizerCase, average: Any, model: nn.Module) -> None:
    for name in ("update", "step", "update_parameters", "__call__"):
        function = getattr(average, name, None)
        if callable(function):
            try:
                function(model)
            except TypeError:
                function()
            return
    raise Skip("it has no update")


def _shift(model: nn.Module, by: float) -> None:
    with torch.no_grad():
        for value in model.state_dict().values():
            value.add_(by if value.is_floating_point() else 1)


def _decay(case: OptimizerCase) -> str | None:
    return next((n for n in ("decay", "beta", "momentum", "ema_decay", "alpha") if n in case.builder.parameters), None)


def _decayed(case: OptimizerCase, value: float) -> dict[str, float]:
    name = _decay(case)
    return {name: value} if name else {}


@check("ema-follows")
def ema_follows(case: OptimizerCase) -> Measured:
    """A constant model is a fixed point, and a step moves the average by (1 - decay) of the gap."""
    case.need("ema")
    model = Net()
    name = _decay(case)
    average = case.average(model, **_decayed(case, 0.9))
    line = case.source.point(r"mul_|lerp|decay \*|\* ?(self\.)?decay|1 ?- ?", r"def update")
    before = {k: v.clone() for k, v in _averaged(average, model).items()}
    _update(case, average, model)
    after = _averaged(average, model)
    key = "first.weight"
    if judge.distance(before[key], after[key]) > 1e-6:
        raise Broken("it drifts", "a fixed point", "A constant model changes its average.", f"Correct {line}.")
    warming = case.source.first(r"\(1 ?\+ ?|warm|min\(")
    moves: list[float] = []
    while len(moves) < 30 or (warming and len(moves) < 400 and abs(moves[-1] - 0.1) > 1e-3):
        last = _averaged(average, model)[key].clone()
        _shift(model, 1.0)
        target = model.state_dict()[key].clone()
        _update(case, average, model)
        now = _averaged(average, model)[key]
        moves.append(judge.number((now - last).mean()) / judge.number((target - last).mean()))
    final = moves[-1]
    if not name:
        good = 0 < final < 1
    elif warming:
        good = -1e-3 < final - 0.1 < 0.3 and moves[0] >= final - 1e-6
    else:
        good = abs(final - 0.1) < 1e-3
    if good:
        return Measured(f"moves by {final:.3g} of the gap", "1 - decay = 0.1" if name else "in (0, 1)")
    why = "The average does not follow decay * average + (1 - decay) * model."
    raise Broken(f"moves by {final:.3g} of the gap", "1 - decay = 0.1", why, f"Correct {line}.")


@check("ema-buffers")
def ema_buffers(case: OptimizerCase) -> Measured:
    """Running statistics follow; counters are copied."""
    case.need("ema")
    model = Net()
    average = case.average(model, **_decayed(case, 0.5))
    before = {k: v.clone() for k, v in _averaged(average, model).items()}
    line = case.source.point(r"buffers|state_dict", r"parameters\(\)", r"def update")
    fix = f"Copy or average model.buffers() as well, at {line}."
    if "bn.running_mean" not in before:
        why = "Buffers are not kept: BatchNorm statistics of the average are those of the start."
        raise Broken("no buffers", "buffers follow", why, fix)
    for _ in range(6):
        _shift(model, 1.0)
        _update(case, average, model)
    after = _averaged(average, model)
    if judge.distance(before["bn.running_mean"], after["bn.running_mean"]) == 0:
        raise Broken("running_mean stays", "it follows", "BatchNorm statistics stay at their start.", fix)
    counter, truth = after["bn.num_batches_tracked"], model.state_dict()["bn.num_batches_tracked"]
    if judge.number(counter) != judge.number(truth):
        why = "An integer counter is averaged instead of copied: it rounds and sticks."
        fix = f"Copy buffers that are not floating point at {line}."
        raise Broken(f"{judge.number(counter):g}", f"{judge.number(truth):g}", why, fix)
    return Measured("they follow", "they follow, counters are copied")


@check("ema-apart")
def ema_apart(case: OptimizerCase) -> Measured:
    """The average shares no memory with the model, and updating it leaves the model alone."""
    case.need("ema")
    model = Net()
    average = case.average(model)
    line = case.source.point(r"deepcopy|clone|detach", r"parameters\(\)|state_dict", r"def __init__")
    try:
        held = _averaged(average, model)
    except Skip:
        if any(value is model for value in vars(average).values()):
            why = "The average is the model itself: evaluation sees the raw weights, or training is slowed."
            raise Broken("the model itself", "a copy", why, f"copy.deepcopy(model) at {line}.") from None
        raise
    before = {k: v.clone() for k, v in model.state_dict().items()}
    trained = [p for p in model.parameters() if p.requires_grad]
    with torch.no_grad():
        for value in held.values():
            if value.is_floating_point():
                value.add_(0.0)
    for key, value in held.items():
        if key in before and value.data_ptr() == model.state_dict()[key].data_ptr() and value.numel():
            raise Broken(
                f"{key} is shared", "a copy", "Average and model are one tensor.", f"clone() or deepcopy at {line}."
            )
    _update(case, average, model)
    if any(not judge.identical(v, before[k]) for k, v in model.state_dict().items()):
        raise Broken("the model changes", "unchanged", "update() writes to the model.", f"Correct {line}.")
    if not all(p.requires_grad for p in trained):
        why = "Making the average froze the model itself."
        raise Broken("requires_grad is off", "unchanged", why, f"Freeze the copy only, at {line}.")
    if any(value.grad_fn is not None for value in _averaged(average, model).values()):
        raise Broken(
            "it holds a graph", "none", "Every update keeps a graph.", f"Update under torch.no_grad() ({line})."
        )
    return Measured("a copy without a graph", "a copy without a graph")


@check("ema-resume")
def ema_resume(case: OptimizerCase) -> Measured:
    """Saved and loaded, it continues as before."""
    case.need("ema")
    model = Net()
    average = case.average(model)
    if not hasattr(average, "state_dict") or not hasattr(average, "load_state_dict"):
        raise Skip("it has no state_dict")
    for _ in range(4):
        _shift(model, 0.5)
        _update(case, average, model)
    saved = copy.deepcopy(average.state_dict())
    reseed(5)
    other = case.average(copy.deepcopy(model))
    other.load_state_dict(saved)
    for item in (average, other):
        twin = copy.deepcopy(model)
        _shift(twin, 0.5)
        _update(case, item, twin)
    gap = max(
        judge.distance(a, b) for a, b in zip(_averaged(average, model).values(), _averaged(other, model).values())
    )
    if gap <= 1e-7:
        return Measured("continues", "as without a break")
    line = case.source.point(r"def state_dict|load_state_dict", r"self\.\w*(num|count|step)\w*")
    raise Broken(f"{gap:.3g} apart", "0", "A resumed average takes another path.", f"Save every counter at {line}.")
