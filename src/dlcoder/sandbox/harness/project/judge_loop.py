"""Judges a whole plain run: the loop around the steps."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from .judge_ranks import loader_passes, order_changes
from .judge_step import graph_growth, site_of, sources
from .runs import Event, Result
from .verdict import Check, at, failed, listed, passed, skipped

STEADY = ("CosineAnnealingLR", "OneCycleLR", "LinearLR", "PolynomialLR", "ExponentialLR")
"""Schedulers under which the learning rate moves with every step of theirs."""
DECAYS = ("StepLR", "MultiStepLR", "ExponentialLR", "MultiplicativeLR")
COLLAPSED = 1e-3
"""Share of the first learning rate below which nothing is learnt any more."""
PLANNED = {"CosineAnnealingLR": "T_max", "OneCycleLR": "total_steps"}
"""Schedulers that are told how many steps of theirs there will be, and by which argument."""
LEAK = 0.2
"""Share of evaluation samples that may be trained on: some data repeat themselves."""
_TRAINING_FILE = re.compile(r"(^|[/._-])(train(ing)?)(?=[/._-])", re.IGNORECASE)
_DEVICE = re.compile(r"\.to\(|\.cuda\(|\bdevice\b|accelerat|[Ff]abric|Trainer\(")
_MONTE_CARLO = re.compile(r"mc_?drop|monte|uncertain", re.IGNORECASE)
_UPDATED_LATE = re.compile(r"target", re.IGNORECASE)
"""Copies that some update only every few thousand steps."""
SYNC_BOUND = 4.0
PER_SITE = 1.5
_HAND_MADE = re.compile(r"class \w*(Sched|Warmup|Cosine)\w*|def (get_lr|adjust_learning_rate|lr_at|lr_lambda|set_lr)\b")
_GUARD = re.compile(r"isfinite|isnan|isinf|assert|update_bn")


def complete(result: Result) -> bool:
    """Whether the run ended by itself."""
    return any(e["e"] == "end" and e["code"] == 0 for e in result.ranks[0])


def source_line(result: Result, site: str) -> str:
    """The text of a line of user code."""
    path, _, number = site.rpartition(":")
    try:
        return (result.root / path).read_text("utf-8", "replace").splitlines()[int(number) - 1]
    except (OSError, ValueError, IndexError):
        return ""


# -- scheduler ------------------------------------------------------------


def judge_scheduler(result: Result) -> Check:
    """Each scheduler steps once per optimizer step or once per epoch, and its optimizer is the one that trains."""
    name, bound = "scheduler", "at most one scheduler step per optimizer step, in the scheduler's own unit"
    steps = result.steps()
    idle = _ends_at_zero(steps)
    if idle:
        return failed(
            name, idle, "the schedule lasts as long as training", "count the schedule's total in optimizer steps"
        )
    restless = _restless(result)
    if restless:
        fix = "step the schedule once per optimizer step, not per micro-batch" + at(restless)
        return failed(name, "the lr changes between the micro-batches of one step", bound, fix)
    inner = {i for e in result.events("scheduler") for i in e["inner"]}
    known = {e["i"]: e for e in result.events("scheduler") if e["i"] not in inner}
    rates = sorted({round(lr, 12) for s in steps for lr in s["lr"][:1]})
    span = f"lr {rates[0]:.3g} to {rates[-1]:.3g}" if rates else ""
    computed = [
        e for e in result.events("rate") if len(rates) == 1 and not math.isclose(e["value"], rates[0], rel_tol=1e-6)
    ]
    if not known and computed and len(steps) > 3 and computed[0]["value"] != 1:
        made, value, site = computed[0]["name"], computed[0]["value"], computed[0]["site"]
        fix = f"set every group's lr to what {made}() returns, before optimizer.step(){at(site)}"
        return failed(name, f"{made}() returns {value:.3g}, lr stays {rates[0]:.3g}", "the schedule moves the lr", fix)
    if not known and len(rates) == 1 and len(steps) > 3 and complete(result) and _HAND_MADE.search(sources(result)):
        made = _HAND_MADE.search(sources(result))
        fix = f"apply {made.group(0).split()[-1] if made else 'it'} to the optimizer's groups after every step"
        return failed(name, f"lr is {rates[0]:.3g} in all {len(steps)} steps", "the schedule moves the lr", fix)
    if not known:
        return skipped(name, "no scheduler of torch.optim is used", span)
    final: Event = next(iter(result.events("final")), {"sched": {}, "sites": {}})
    counts = {i: sum(s["sched"].get(str(i), 0) for s in steps) + final["sched"].get(str(i), 0) for i in known}
    for i, scheduler in known.items():
        verdict = _judge_one(result, steps, scheduler, counts[i], final["sites"].get(str(i), scheduler["site"]))
        if verdict:
            return failed(name, verdict[0], bound, verdict[1])
    if not any(counts.values()):
        return skipped(name, "the run was stopped before a scheduler was due", span)
    return passed(name, f"{span}, {sum(counts.values())} scheduler steps in {len(steps)} optimizer steps", bound)


def _restless(result: Result) -> str:
    """The backward pass before which the learning rate changed within a step and an epoch; empty if there is none."""
    rates = None
    for event in result.ranks[0]:
        if event["e"] == "bwd":
            fresh = bool(event["fresh"] and event["fresh"][0])
            if rates is not None and not fresh and event["lr"][:1] != rates:
                return str(event["site"])
            rates = event["lr"][:1]
        elif event["e"] in ("step", "iter", "iter_end"):
            rates = None
    return ""


def _ends_at_zero(steps: list[Event]) -> str:
    zero = [s for s in steps if s["lr"] and not any(lr > 0 for lr in s["lr"])]
    if len(steps) >= 4 and len(zero) > len(steps) / 4 and steps[-1] in zero:
        return f"lr is 0 in {len(zero)} of {len(steps)} steps"
    return ""


def _judge_one(result: Result, steps: list[Event], scheduler: Event, count: int, site: str) -> tuple[str, str] | None:
    key, cls = str(scheduler["i"]), scheduler["cls"]
    attempts = _attempts(result)
    if steps and steps[0]["sched"].get(key, 0):
        return f"{cls} steps before the first optimizer step", "call scheduler.step() after optimizer.step()" + at(site)
    for before, step in zip(steps, steps[1:]):
        allowed = max(1, attempts.get(step["s"], 1))
        if step["sched"].get(key, 0) > allowed and before["opt"] == step["opt"]:
            return (
                f"{cls} steps {step['sched'][key]} times between two optimizer steps",
                "call scheduler.step() once, after optimizer.step(), not per micro-batch or twice" + at(site),
            )
    if not count:
        whole = complete(result) or len(result.events("iter_end")) > 1
        fix = f"call scheduler.step() after optimizer.step(){at(scheduler['site'])}"
        return (f"{cls} is made and never stepped in {len(steps)} steps", fix) if whole and steps else None
    used = [s["lr"] for s in steps if s["sched"].get(key, 0)]
    if cls in STEADY and len(used) > 1 and len({json.dumps(s["lr"]) for s in steps}) == 1:
        return f"{cls} steps {count} times, the lr in use never changes", "give it the optimizer that trains" + at(site)
    return _horizon(result, scheduler, count, site) or _collapse(steps, scheduler, count, site)


def _collapse(steps: list[Event], scheduler: Event, count: int, site: str) -> tuple[str, str] | None:
    """A schedule meant for epochs that is stepped in every step, so that the rate vanishes long before the end."""
    rates = [s["lr"][0] for s in steps if s["lr"]]
    if scheduler["cls"] not in DECAYS or count < 0.8 * len(steps) or len(rates) < 8 or not rates[0]:
        return None
    if rates[-1] > COLLAPSED * rates[0]:
        return None
    fix = "step it once per epoch, or give it steps instead of epochs" + at(site)
    return f"lr falls from {rates[0]:.3g} to {rates[-1]:.3g} within {len(rates)} steps", fix


def _horizon(result: Result, scheduler: Event, count: int, site: str) -> tuple[str, str] | None:
    horizon, cls = scheduler.get("horizon"), scheduler["cls"]
    if not isinstance(horizon, int) or cls not in PLANNED:
        return None
    told = PLANNED[cls]
    if count > 1.2 * horizon + 1:
        fix = f"set {told} to the number of its steps" + at(scheduler["site"])
        return f"{cls} steps {count} times with {told}={horizon}", fix
    steps = len(result.steps())
    if complete(result) and count * 3 < horizon and abs(horizon - steps) <= 0.1 * steps:
        fix = f"step it after every optimizer step, or set {told} to the number of epochs" + at(site)
        return f"{cls} steps {count} times with {told}={horizon}, the number of optimizer steps", fix
    return None


def _attempts(result: Result) -> dict[int, int]:
    """How often an optimizer was to be stepped before each step, those that a gradient scaler skipped included."""
    tried: dict[int, int] = {}
    count = 0
    for event in result.ranks[0]:
        if event["e"] == "scaler_step":
            count += 1
        elif event["e"] == "step":
            tried[event["s"]] = count
            count = 0
    return tried


# -- accumulation ------------------------------------------------------------


def windows(result: Result) -> list[list[Event]]:
    """The backward passes behind every step of the first optimizer, from where its gradients were last cleared."""
    found: list[list[Event]] = []
    current: list[Event] = []
    last: Event | None = None
    for event in result.ranks[0]:
        if event["e"] == "bwd":
            last = event
            if event["fresh"] and event["fresh"][0]:
                current = []
        elif event["e"] == "bwd_end" and last is not None and 0 in event["opts"]:
            current.append(last)
        elif event["e"] == "step" and event["opt"] == 0:
            found.append(current)
            current = []
    return found


def usual_size(result: Result) -> int:
    """How many backward passes a step usually has."""
    sizes = [len(w) for w in windows(result) if w]
    return max(sizes, key=sizes.count) if sizes else 0


def judge_accumulation(result: Result, short: Result | None, same: Result | None, wider: Result | None = None) -> Check:
    """K micro-batches weigh as much as one batch, and so does a shorter last window.

    Args:
        result: The plain run.
        short: One whose data make a shorter last window.
        same: One in which every micro-batch is the same and every update is taken back: all gradients must be equal.
        wider: The same with windows twice as large.
    """
    told = _by_factors(result, short)
    size = usual_size(result)
    if told["status"] == "fail" or size < 2 or same is None:
        return told
    doubled = _by_width(same, wider, size) if wider is not None and not _several_parts(result) else None
    if doubled is not None and doubled["status"] == "fail":
        return doubled
    measured = _by_gradients(same, size) or doubled
    return told if measured is None or (measured["status"] == "pass" and told["status"] == "pass") else measured


def _by_gradients(same: Result, size: int) -> Check | None:
    name, bound = "accumulation", "the gradient is the same however many micro-batches a window has"
    steps = [s for s in same.steps() if s["opt"] == 0]
    sizes = [len(w) for w in windows(same)]
    inputs = {e["input"] for e in same.events("fwd") if e["trained"] and e["grad"]}
    if len(inputs) != 1 or len({n for n in sizes if n <= size}) < 2 or not all(s.get("projection") for s in steps):
        return None
    if _draws(same, size):
        return None
    usual = next(s["projection"] for s, n in zip(steps, sizes) if n == size)
    # Windows above the usual size hold what the shortened data left over.
    for step, count in ((s, n) for s, n in zip(steps, sizes) if n <= size):
        ratio = _times_as_large(step["projection"], usual)
        if abs(ratio - 1) > 0.02:
            what = f"{ratio:.3g} times as large with {count} micro-batches as with {size}"
            fix = "divide by the micro-batches (or samples) that the window has, the last one of an epoch too"
            return failed(name, what, bound, fix + at(site_of(same.events("bwd"))))
    return passed(name, f"equal for windows of {listed(map(str, sorted(set(sizes))))} micro-batches", bound)


def _by_width(same: Result, wider: Result, size: int) -> Check | None:
    """The gradient of a window against that of one with twice as many micro-batches, all of them the same."""
    name, bound = "accumulation", "the gradient is the same however many micro-batches a window has"
    found = []
    for run, count in ((same, size), (wider, 2 * size)):
        inputs = {e["input"] for e in run.events("fwd") if e["trained"] and e["grad"]}
        steps = [s for s in run.steps() if s["opt"] == 0]
        full = [s for s, w in zip(steps, windows(run)) if len(w) == count and s.get("projection")]
        if len(inputs) != 1 or not full:
            return None
        found.append((inputs, full[0]["projection"]))
    if found[0][0] != found[1][0] or _draws(same, size):
        return None
    ratio = _times_as_large(found[1][1], found[0][1])
    if abs(ratio - 1) > 0.02:
        what = f"{ratio:.3g} times as large with {2 * size} micro-batches as with {size}"
        fix = "divide the whole loss, every term of it, by the micro-batches of a step"
        return failed(name, what, bound, fix + at(site_of(same.events("bwd"))))
    return passed(name, f"equal for windows of {size} and {2 * size} micro-batches", bound)


def _draws(same: Result, size: int) -> bool:
    """Whether windows of one batch at one point have different gradients: the model draws noise of its own."""
    steps = [s for s in same.steps() if s["opt"] == 0]
    full = [s["projection"] for s, w in zip(steps, windows(same)) if len(w) == size and s.get("projection")]
    return any(abs(_times_as_large(other, full[0]) - 1) > 0.02 for other in full[1:])


def _times_as_large(projection: list[float], usual: list[float]) -> float:
    return sum(a * b for a, b in zip(projection, usual)) / max(sum(v * v for v in usual), 1e-30)


def _several_parts(result: Result) -> str:
    """Why the factors of a step's losses do not tell its gradient; empty if they do."""
    if len({e["site"] for w in windows(result) for e in w}) > 1:
        return "several losses have backward passes of their own"
    if re.search(r"\.grad\s*/=|\.grad\.(div|mul)_|\.grad\s*\*=", sources(result)):
        return "gradients are scaled by hand after the backward pass"
    return ""


def _by_factors(result: Result, short: Result | None) -> Check:
    """K micro-batches weigh as much as one batch, and so does a shorter last window."""
    name, size = "accumulation", usual_size(result)
    if size < 2:
        return skipped(name, "one backward pass per optimizer step")
    if _several_parts(result):
        return skipped(name, _several_parts(result))
    return _by_weights(result, short, size)


def _by_weights(result: Result, short: Result | None, size: int) -> Check:
    name, bound = "accumulation", "the factors of a window's losses add up to 1"
    site = at(site_of(result.events("bwd")))
    partial = 0
    for run in [result, *([short] if short else [])]:
        for position, window in enumerate(windows(run)):
            partial += len(window) != size
            total = _window_total(window)
            if total is None or not window:
                return skipped(name, "the loss is scaled by a factor that is not 1/k")
            if run is short and len(window) > size:
                # Left over from an epoch of the shortened data: the project's own data may never leave any.
                continue
            if abs(total - 1) > 0.01:
                what = f"{len(window)} micro-batches weigh {total:.3g} at step {position + 1}"
                if len(window) == size:
                    often = "the loss is divided more than once, or by too much (a framework's backward() may divide)"
                    fix = often if total < 1 else f"divide the loss by the {size} micro-batches of a step"
                    return failed(name, what, bound, fix + site)
                if "backward" not in source_line(result, site_of(window)):
                    return skipped(name, f"the framework divides every window by {size}, a shorter last one too", what)
                fix = f"the last window of an epoch has {len(window)} micro-batches, not {size}: divide by its number"
                return failed(name, what, bound, fix + site)
    return passed(name, f"{size} micro-batches per step, {partial} shorter windows", bound)


def _window_total(window: list[Event]) -> float | None:
    """What the losses of a window were multiplied by in sum; `None` if that cannot be told."""
    count = len(window)
    right = [any(abs(f * count - 1) < 0.01 for f in e["factors"]) for e in window]
    if all(right):
        # Beside a whole term, 1/k may be another term's weight.
        return None if any(abs(f - 1) < 0.01 for e in window for f in e["factors"] if count > 1) else 1.0
    factors = [max(e["factors"]) for e in window]
    if len({round(f, 6) for f in factors}) == 1 and abs(1 / factors[0] - round(1 / factors[0])) < 0.01:
        # The same 1/n on every micro-batch; an n far above any window is a number of tokens or pixels.
        return sum(factors) if 1 / factors[0] <= 4 * max(count, 2) else None
    total = sum(factors)
    return 1.0 if abs(total - 1) < 0.01 else None


# -- averaged weights ------------------------------------------------------------


def judge_ema(result: Result) -> Check:
    """An averaged copy moves, is a copy, and has the model's buffers."""
    name, bound = "ema", "the averaged weights follow the model, buffers included"
    steps = result.steps()
    alias = result.events("average_alias")
    if alias:
        return failed(name, f"{alias[0]['label']} is the model itself", bound, "make it of copy.deepcopy(model)")
    found = {e["label"]: e for e in result.events("average")}
    if not found:
        return skipped(name, "no averaged copy of the model was found")
    final: Event = next(iter(result.events("final")), {"stale": {}, "ema": {}})
    for label, event in found.items():
        seen = [s["ema"][label] for s in steps if label in s["ema"]]
        seen += [final["ema"][label]] if label in final["ema"] else []
        if len(seen) > 3 and len(set(seen)) == 1:
            if _UPDATED_LATE.search(label) and (not complete(result) or len(steps) < 20):
                return skipped(name, f"{label} is not updated in the {len(steps)} steps of this run")
            fix = f"update {label} after every optimizer.step(){at(event['site'])}"
            return failed(name, f"{label} is the same after {len(seen) - 1} steps", bound, fix)
        stale = final["stale"].get(label)
        if stale:
            fix = f"copy the buffers too when {label} is updated: it evaluates with the statistics of its first day"
            return failed(name, f"buffers never follow: {listed(stale)}", bound, fix)
    return passed(name, f"{listed(found)} moved in {len(steps)} steps", bound)


# -- validation ------------------------------------------------------------


def judge_validation(result: Result, short: Result | None) -> Check:
    """Evaluation in evaluation mode, without graphs, on fixed and unseen samples; training mode again afterwards."""
    name = "validation"
    read = loader_passes(result)
    training = {p["loader"] for p in read if p["bwd"]}
    evaluating = [p for p in read if p["loader"] not in training and p["fwd"] and not p["bwd"]]
    forwards = [e for p in evaluating for e in p["fwd"]]
    if not evaluating:
        forwards = [e for e in result.events("fwd") if e["trained"] and not (e["grad"] and e["train"])]
    verdict = _modes(result, forwards) or _restored(result, forwards) or _same_data(result, evaluating, training)
    if not verdict and forwards:
        verdict = (_learned_rows(result) if not evaluating else None) or _unread(result)
    if verdict:
        return failed(name, *verdict)
    for run in [result, *([short] if short else [])]:
        averaged = _averaged_batches(run, training)
        if averaged:
            return failed(name, *averaged)
    if not forwards:
        return skipped(name, "no evaluation was seen")
    return passed(name, f"{len(forwards)} forward passes", "evaluation mode, no graph, fixed samples")


def _modes(result: Result, forwards: list[Event]) -> tuple[str, str, str] | None:
    trained = {e["cls"] for e in result.events("fwd") if e["trained"]}
    for event in forwards:
        if event["cls"] not in trained or _GUARD.search(source_line(result, event["site"])):
            continue
        if event["train"] and event["layers"] > event["layers_eval"]:
            fix = f"call model.eval() before evaluating{at(event['site'])}"
            return f"{event['cls']} evaluates in training mode", "evaluation mode", fix
        if event["grad"]:
            fix = f"evaluate under torch.no_grad() or torch.inference_mode(){at(event['site'])}"
            return "evaluation builds a graph", "no gradients in evaluation", fix
    dropped = _dropped(result)
    if dropped and not _MONTE_CARLO.search(sources(result)):
        return "dropout is on in evaluation", "evaluation mode", f"call model.eval() before evaluating{at(dropped)}"
    return None


def _dropped(result: Result) -> str:
    """Where dropout was applied without gradients and outside a pass over training data; empty if nowhere."""
    found = ""
    for event in result.ranks[0]:
        if event["e"] == "dropped":
            found = found or str(event["site"])
        elif event["e"] == "bwd":
            # What a training step computes beside its gradients (a target, a pseudo label) may well be noisy.
            found = ""
        elif found and event["e"] in ("iter_end", "end", "stop", "iter"):
            return found
    return ""


def _restored(result: Result, forwards: list[Event]) -> tuple[str, str, str] | None:
    """Training forward passes in evaluation mode after an evaluation."""
    own = {id(e) for e in forwards}
    waiting: list[Event] = []
    first_mode: bool | None = None
    for event in result.ranks[0]:
        if event["e"] == "fwd" and event["trained"] and event["grad"] and id(event) not in own:
            waiting.append(event)
        elif event["e"] == "bwd":
            for forward in waiting:
                first_mode = forward["train"] if first_mode is None else first_mode
                if first_mode and not forward["train"]:
                    fix = f"call model.train() again after evaluating{at(forward['site'])}"
                    return f"{forward['cls']} goes on training in evaluation mode", "training mode restored", fix
            waiting = []
        elif event["e"] in ("iter", "iter_end"):
            waiting = []
    return None


def _same_data(result: Result, evaluating: list[dict[str, Any]], training: set[int]) -> tuple[str, str, str] | None:
    loaders = {e["i"]: e for e in result.events("loader")}
    held_out = {p["loader"] for p in evaluating}
    for event in result.events("probe"):
        if event["loader"] in held_out and not event["same"]:
            fix = "switch random augmentation off in the evaluation set" + at(loaders[event["loader"]]["site"])
            return "an evaluation sample differs when it is read again", "fixed evaluation samples", fix
    return _learned(result, evaluating, training, loaders) or _incomplete(loaders, held_out)


def _learned(
    result: Result, evaluating: list[dict[str, Any]], training: set[int], loaders: dict[int, Event]
) -> tuple[str, str, str] | None:
    """Evaluation samples that are trained on; of several evaluation sets, one may be the training set, whole."""
    read = [s for p in loader_passes(result) if p["loader"] in training for s in p["samples"]]
    learned = set(read)
    # Samples that occur again and again by themselves prove nothing.
    epoch = max((len(p["samples"]) for p in loader_passes(result) if p["loader"] in training), default=0)
    if len(learned) < 0.8 * epoch:
        return None
    shared = {
        p["loader"]: (sum(s in learned for s in p["samples"]), len(p["samples"]), p["loader"]) for p in evaluating
    }
    clean = any(not count for count, total, _ in shared.values() if total)
    for count, total, loader in shared.values():
        if total >= 4 and count > LEAK * total and not (clean and count == total):
            fix = "keep evaluation samples out of the training set" + at(loaders[loader]["site"])
            return f"{count} of {total} evaluation samples are trained on", "disjoint samples", fix
    return None


def _incomplete(loaders: dict[int, Event], held_out: set[int]) -> tuple[str, str, str] | None:
    """An evaluation loader that leaves samples out."""
    for loader in (loaders[i] for i in sorted(held_out)):
        size, length = loader["group"], loader["length"]
        if loader["drop_last"] and size and length and length % size:
            fix = "evaluate without drop_last" + at(loader["site"])
            return f"{length % size} of {length} evaluation samples are left out", "every sample counts", fix
    return None


def _learned_rows(result: Result) -> tuple[str, str, str] | None:
    """The same for programs that draw their batches by themselves: what enters the model in evaluation."""
    forwards = [e for e in result.events("fwd") if e["trained"] and e.get("rows")]
    learning = [e for e in forwards if e["grad"] and e["train"]]
    judging = [e for e in forwards if not e["grad"] and not e["train"] and len(e["rows"]) >= 8]
    # The whole data at once, as graphs are, is told apart by masks that cannot be seen here.
    if not judging or {e["input"] for e in learning} & {e["input"] for e in judging}:
        return None
    learned = {row for e in learning for row in e["rows"]}
    shares = [(sum(row in learned for row in e["rows"]), len(e["rows"]), e["site"]) for e in judging]
    apart = any(count <= LEAK * total for count, total, _ in shares)
    for count, total, site in shares:
        if count > LEAK * total and (count < 0.95 * total or not apart):
            fix = "keep evaluation samples out of the training data" + at(site)
            return f"{count} of {total} samples evaluated at once are trained on", "disjoint samples", fix
    return None


def _unread(result: Result) -> tuple[str, str, str] | None:
    """A file of held-out data that lies beside the training data and is never opened."""
    read = {e["path"]: e["site"] for e in result.events("read")}
    for path, site in read.items():
        if not _TRAINING_FILE.search(path):
            continue
        for word in ("val", "valid", "validation", "dev", "eval"):
            other = _TRAINING_FILE.sub(rf"\g<1>{word}", path)
            held_out = [w for w in read if re.search(r"(^|[/._-])(val|valid|validation|dev|eval|test)", w)]
            if (result.root / other).is_file() and not held_out:
                fix = f"evaluate on {other}: nothing but training data is read" + at(site)
                return f"{other} is never read", "evaluation on data of its own", fix
    return None


def _averaged_batches(result: Result, training: set[int]) -> tuple[str, str, str] | None:
    """A logged metric that is the mean of the batches' means although the last batch is smaller."""
    numbers = None
    for p in loader_passes(result):
        if p["loader"] in training:
            continue
        for site, pairs in p["values"].items():
            sizes = [n for _, n in pairs]
            if len(pairs) < 2 or len(set(sizes)) == 1 or not all(math.isfinite(v) for v, _ in pairs):
                continue
            plain = sum(v for v, _ in pairs) / len(pairs)
            weighted = sum(v * n for v, n in pairs) / sum(sizes)
            numbers = logged_numbers(result) if numbers is None else numbers
            if _printed(plain, weighted, numbers):
                fix = f"weigh every batch by its size: sum the per-sample values, divide by their number{at(site)}"
                return f"logs {plain:.6g}, the mean of batch means", f"{weighted:.6g}, the mean over samples", fix
    return None


def _printed(plain: float, weighted: float, numbers: list[tuple[float, int]]) -> bool:
    for value, digits in numbers:
        if digits >= 4 and round(plain, digits) == value and round(weighted, digits) != value:
            return not any(round(weighted, d) == v and d >= 4 for v, d in numbers)
    return False


def logged_numbers(result: Result) -> list[tuple[float, int]]:
    """Every decimal number that the program printed or wrote into a text file, with its digits after the point."""
    texts = [result.output]
    for event in result.events("write"):
        path = result.root / event["path"]
        if path.suffix in (".jsonl", ".json", ".csv", ".txt", ".log", ".tsv") and path.is_file():
            texts.append(path.read_text("utf-8", "replace")[-200_000:])
    found = re.findall(r"-?\d+\.(\d+)(?![\d.]*e)", "\n".join(texts))
    values = re.findall(r"(-?\d+\.\d+)(?![\d.]*e)", "\n".join(texts))
    return [(float(v), min(len(d), 12)) for v, d in zip(values, found)]


# -- memory, syncs ------------------------------------------------------------


def judge_memory(result: Result) -> Check:
    """Nothing stays alive from step to step."""
    name, bound = "memory", "no growth of live graphs or tensors from step to step"
    steps = result.steps()
    if len(steps) < 6:
        return skipped(name, f"only {len(steps)} optimizer steps were seen")
    grown = graph_growth(name, bound, result, steps)
    if grown:
        return grown
    counts = [s["tensors"] for s in steps if "tensors" in s]
    boundary = len(result.events("iter")) > 1 or not result.events("iter")
    rising = len(counts) >= 4 and all(b > a for a, b in zip(counts, counts[1:]))
    if rising and boundary:
        rate = (counts[-1] - counts[0]) / (2.0 * (len(counts) - 1))
        fix = "something collects tensors over the steps: keep numbers (.item() at log steps) or clear it"
        return failed(name, f"{rate:.1f} tensors more per step", bound, fix)
    span = f"{min(counts)} to {max(counts)} live tensors, " if counts else ""
    return passed(name, f"{span}{steps[-1]['graphs']} old graphs after {len(steps)} steps", bound)


def judge_syncs(result: Result, allowed: float | None) -> Check:
    """User code does not wait for the device in every micro-batch."""
    limit = SYNC_BOUND if allowed is None else allowed
    name, bound = "syncs", f"at most {limit:g} host syncs per optimizer step, none per micro-batch"
    if not _DEVICE.search(sources(result)):
        return skipped(name, "the program moves nothing to a device, so there is none to wait for")
    steps = [s for s in result.steps()[1:] if not s["mixed"]]
    if len(steps) < 2:
        return skipped(name, "too few optimizer steps without an evaluation between them were seen")
    size = max(usual_size(result), 1)
    rates: dict[str, float] = {}
    for site in {site for s in steps for site in s["syncs"]}:
        hits = [s["syncs"].get(site, 0) for s in steps]
        if not _GUARD.search(source_line(result, site)) and sum(h > 0 for h in hits) > 0.7 * len(steps):
            rates[site] = sum(hits) / len(hits)
    acts = _forwards_per_step(result)
    if size == 1 and acts > PER_SITE and any(rate >= 0.8 * acts for rate in rates.values()):
        return skipped(name, f"the loop acts on what the model says: {acts:.0f} forward passes for an optimizer step")
    worst = max(rates, key=lambda s: rates[s], default="")
    if size > 1 and worst and rates[worst] > PER_SITE:
        what = source_line(result, worst).strip()[:80]
        fix = f"{worst} waits for the device in every micro-batch ({what}): keep the tensor and read it when logging"
        return failed(name, f"{rates[worst]:.1f} per optimizer step at one line", bound, fix)
    total = sum(rates.values())
    if total > limit:
        fix = f"read values only when logging: {listed(f'{s} ({r:.1f})' for s, r in sorted(rates.items()))}"
        return failed(name, f"{total:.1f} per optimizer step", bound, fix)
    return passed(name, f"{total:.1f} per optimizer step", bound)


def _forwards_per_step(result: Result) -> float:
    forwards = sum(e["trained"] and e["grad"] for e in result.events("fwd"))
    return float(forwards) / max(len(result.steps()), 1)


# -- logs ------------------------------------------------------------


def judge_logs(result: Result, fields: list[str] | None) -> Check:
    """A JSON-lines log parses, its steps rise, its numbers are finite and agree with what was seen."""
    name, bound = "logs", "every line parses, steps rise, values are finite and agree with the run"
    written = {result.root / e["path"] for rank in range(len(result.ranks)) for e in result.events("write", rank)}
    files = sorted(p for p in written if p.suffix == ".jsonl" and p.is_file())
    if not files:
        return skipped(name, "no .jsonl log is written")
    records, complete_records = 0, 0
    for path in files:
        where = str(path.relative_to(result.root))
        try:
            rows = [json.loads(line) for line in path.read_text("utf-8", "replace").splitlines() if line.strip()]
        except ValueError as error:
            return failed(name, f"{where} does not parse: {error}", bound, "write one JSON object a line")
        records += len(rows)
        problem = _log_problem(result, [r for r in rows if isinstance(r, dict)])
        if problem:
            return failed(name, f"{where}: {problem[0]}", bound, problem[1])
        complete_records += sum(all(f in row for f in fields or []) for row in rows if isinstance(row, dict))
    if fields and not complete_records:
        missing = f"no record has all of {', '.join(fields)}"
        return failed(name, missing, bound, "log these fields for every logged step")
    return passed(name, f"{records} records in {listed(p.name for p in files)}", bound)


def _log_problem(result: Result, rows: list[dict[str, Any]]) -> tuple[str, str] | None:
    steps = [r["step"] for r in rows if isinstance(r.get("step"), int)]
    if any(b < a for a, b in zip(steps, steps[1:])):
        return "steps fall", "log the global optimizer step"
    for row in rows:
        for key, value in row.items():
            if isinstance(value, float) and not math.isfinite(value):
                return f"{key} is {value} at step {row.get('step')}", "log finite values, or stop before this point"
    training = [r for r in rows if isinstance(r.get("step"), int) and isinstance(r.get("lr"), (int, float))]
    for row in training:
        problem = _contradiction(result.steps(), result.events("clip"), row)
        if problem:
            return problem
    return None


def _contradiction(steps: list[Event], clips: list[Event], row: dict[str, Any]) -> tuple[str, str] | None:
    near = [steps[i] for i in range(row["step"] - 2, row["step"] + 2) if 0 <= i < len(steps)]
    rates = [lr for s in near for lr in s["lr"]]
    if near and rates and not any(abs(lr - row["lr"]) <= 2e-2 * max(abs(lr), 1e-12) for lr in rates):
        return f"lr {row['lr']:.4g} at step {row['step']}, where {rates[0]:.4g} is used", "log the optimizer's own lr"
    norm = row.get("grad_norm")
    if not near or not isinstance(norm, (int, float)):
        return None
    seen = [s["norm"] for s in near] + [c["norm"] for c in clips if c["norm"] is not None]
    scale = max((s["scaler"][0][0] for s in near if s["scaler"]), default=1.0)
    agrees = any(abs(v - norm) <= 2e-2 * max(abs(v), 1e-9) for v in seen)
    if not agrees and scale > 1 and any(abs(v * scale - norm) <= 2e-2 * v * scale for v in seen):
        return "grad_norm is still multiplied by the loss scale", "log the norm after scaler.unscale_()"
    return None


def judge_workers(result: Result) -> Iterator[Check]:
    """The workers of a loader share the samples of an iterable data set."""
    name, bound = "validation.workers", "the workers of a loader share the samples of an iterable data set"
    loaders = {e["i"]: e for e in result.events("loader")}
    for event in result.events("workers"):
        loader = loaders[event["loader"]]
        once = -(-event["alone"] // loader["batch_size"])
        # Every worker has a last batch of its own.
        if event["alone"] and event["batches"] >= 2 * once > event["workers"]:
            fix = "split the data by torch.utils.data.get_worker_info() in __iter__" + at(loader["site"])
            what = f"{event['batches']} batches with {event['workers']} workers, {once} without"
            yield failed(name, what, bound, fix)
            return
    if result.events("workers"):
        yield passed(name, "as many samples with workers as without", bound)


def judge_order(result: Result) -> Iterator[Check]:
    """Two epochs of a shuffling loader have different orders."""
    verdict = order_changes(result, "reproducible.order", "the order of the samples changes with the epoch")
    if verdict:
        yield verdict
