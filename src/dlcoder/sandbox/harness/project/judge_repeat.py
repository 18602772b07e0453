"""Judges runs that should equal each other: the same seed, a resumed run; and runs that should learn or stop."""

from __future__ import annotations

import math
import re
from typing import Any

from .judge_loop import complete
from .judge_step import how_it_ended, site_of, sources
from .runs import Event, Result
from .verdict import Check, at, failed, listed, passed, skipped

GUARDS = re.compile(r"isfinite|isnan|isinf|nan_to_num|error_if_nonfinite|detect_anomaly|TerminateOnNan")
_SEEDS = re.compile(r"manual_seed|seed_everything|set_seed|random\.seed\(|default_rng\(|\bseed\s*=", re.IGNORECASE)
FALL = 0.3
PLATEAU = 0.01


def inputs_by_step(result: Result) -> list[list[str]]:
    """What entered the trained modules before every optimizer step."""
    found: list[list[str]] = []
    current: list[str] = []
    for event in result.ranks[0]:
        if event["e"] == "fwd" and event["trained"] and event["grad"]:
            current.append(event["input"])
        elif event["e"] == "step":
            found.append(current)
            current = []
    return found


def losses_by_step(result: Result) -> list[float]:
    """The sum of the losses behind every optimizer step."""
    found: list[float] = []
    current = 0.0
    for event in result.ranks[0]:
        if event["e"] == "bwd":
            current += event["loss"]
        elif event["e"] == "step":
            found.append(current)
            current = 0.0
    return found


def mean_losses(result: Result) -> list[float]:
    """The mean of the losses behind every optimizer step: windows of accumulation may differ in length."""
    counts = [0]
    for event in result.ranks[0]:
        counts[-1] += event["e"] == "bwd"
        if event["e"] == "step":
            counts.append(0)
    return [loss / max(count, 1) for loss, count in zip(losses_by_step(result), counts)]


# -- one seed, two seeds ------------------------------------------------------------


def judge_reproducible(first: Result, second: Result, has_seed: bool) -> Check:
    """Two runs that begin with different ambient random states are equal all the same, where there is a seed."""
    name, bound = "reproducible", "two runs with one seed are equal bit for bit"
    if first.error and not first.steps():
        return skipped(name, f"the run {how_it_ended(first)}")
    difference = first_difference(first, second)
    if difference is None:
        if len(first.steps()) != len(second.steps()):
            return failed(
                name, f"{len(first.steps())} and {len(second.steps())} steps", bound, "nothing may depend on time"
            )
        return passed(name, f"{len(first.steps())} steps equal", bound)
    step, what = difference
    if not has_seed and not _SEEDS.search(sources(first)):
        return skipped(name, "nothing sets a seed: add an option for it and call torch.manual_seed() first of all")
    advice = {
        "weights": "seed torch, numpy and random before the model is built",
        "data": "seed what orders and augments the data: torch, numpy and random, and the loader's generator",
        "loss": "seed before training starts: dropout or another random layer draws different numbers",
        "update": "an operation is not deterministic: torch.use_deterministic_algorithms(True) names it",
    }[what]
    return failed(name, f"{what} differ from step {step} on", bound, advice + at(site_of(first.events("bwd"))))


def first_difference(first: Result, second: Result) -> tuple[int, str] | None:
    """The first step in which two runs differ, and in what."""
    data = list(zip(inputs_by_step(first), inputs_by_step(second)))
    losses = list(zip(losses_by_step(first), losses_by_step(second)))
    for i, (a, b) in enumerate(zip(first.steps(), second.steps())):
        if a["params"] != b["params"]:
            return i + 1, "weights"
        if data[i][0] != data[i][1]:
            return i + 1, "data"
        if losses[i][0] != losses[i][1]:
            return i + 1, "loss"
        if a["after"] != b["after"]:
            return i + 1, "update"
    return None


def judge_seeds(first: Result, other: Result, option: str) -> Check:
    """Another seed gives another run."""
    name, bound = "reproducible.seeds", "another seed gives another run"
    if first_difference(first, other) is None and other.steps():
        return failed(name, f"{option} changes nothing", bound, f"pass {option} to torch.manual_seed() and the loaders")
    return passed(name, f"{option} changes the run", bound)


# -- resume ------------------------------------------------------------


def judge_resume(whole: Result, killed: Result, resumed: Result, saved: int, how: str) -> Check:
    """A killed run that is resumed goes on exactly as the uninterrupted one did.

    Args:
        whole: The uninterrupted run.
        killed: The run that was killed.
        resumed: What followed.
        saved: Optimizer steps before the checkpoint.
        how: How it was resumed, for the reader.
    """
    name, bound = "resume", "the resumed run equals the uninterrupted one bit for bit"
    problem = _restart(whole, resumed, saved, how)
    if problem:
        return failed(name, problem[0], bound, problem[1])
    start = _position_of(resumed, whole) or 0
    problem = _continuation(whole, resumed, start)
    if problem and _of_lightning(whole) and set(_lost(whole, resumed, start)) <= {"data", "random numbers"}:
        return skipped(name, f"{problem[0]}: Lightning's checkpoints hold no random states; the rest is restored")
    if problem:
        return failed(name, problem[0], bound, problem[1])
    return passed(
        name, f"resumed at step {start} of {len(whole.steps())}, killed at {len(killed.steps())} ({how})", bound
    )


def _of_lightning(whole: Result) -> bool:
    return any("pytorch-lightning_version" in e["keys"] for e in whole.events("save"))


def _position_of(resumed: Result, whole: Result) -> int | None:
    """Which step of the whole run begins with the weights with which the resumed one begins."""
    first = resumed.steps()[0]["params"]
    return next((i for i, s in enumerate(whole.steps()) if s["params"] == first), None)


def _restart(whole: Result, resumed: Result, saved: int, how: str) -> tuple[str, str] | None:
    """What is wrong, and what to do, where a resumed run does not begin with saved weights."""
    error, loads = resumed.error, resumed.events("load")
    if not resumed.steps():
        if error:
            return f"{error['type']} when resuming ({how})", error["message"][:300] + at(error["site"])
        if not loads:
            return f"nothing is loaded ({how}), and no step follows", "load the checkpoint"
        return f"no step after resuming ({how})", "go on from the saved step, not behind the end"
    start = _position_of(resumed, whole)
    if start is None:
        return f"the weights after resuming ({how}) are those of no step", "save and load the model"
    if start == 0 and saved > 0:
        what = "the checkpoint is loaded, the weights are not" if loads else "nothing is loaded"
        fix = "load the model's weights from the checkpoint when resuming" + at(site_of(loads))
        return f"{what} ({how}): training starts afresh", fix
    return None


def _continuation(whole: Result, resumed: Result, start: int) -> tuple[str, str] | None:
    """What is wrong, and what to do, where a run that begins with the weights of step `start` goes on otherwise."""
    lost = _lost(whole, resumed, start)
    if lost:
        save = whole.events("save")
        keys = listed(save[0]["keys"], 12) if save else ""
        needed = " and ".join(_ADVICE[w] for w in lost)
        fix = f"save and load {needed} (the checkpoint holds: {keys}){at(site_of(save))}"
        return f"after step {start}: {', '.join(lost)} differ", fix
    missing = len(whole.steps()) - start - len(resumed.steps())
    if missing and complete(whole) and complete(resumed):
        return f"{abs(missing)} steps too {'few' if missing > 0 else 'many'}", "save the step and epoch"
    unsaved = _unsaved_scaler(whole)
    saved, loaded = (
        any(e["of"] == "scaler" and e["what"] == what for e in run.events("state"))
        for run, what in ((whole, "state_dict"), (resumed, "load_state_dict"))
    )
    if saved and not loaded and resumed.events("load"):
        return "the gradient scaler is saved and not loaded", "call scaler.load_state_dict() when resuming"
    return ("the gradient scaler is not in the checkpoint", unsaved) if unsaved else None


_ADVICE = {
    "optimizer state": "optimizer.state_dict()",
    "learning rate": "scheduler.state_dict()",
    "scheduler": "scheduler.state_dict()",
    "loss scale": "scaler.state_dict()",
    "averaged weights": "the averaged model",
    "data": "the epoch and the position in the data (and what orders it)",
    "random numbers": "the states of the random generators (torch, numpy, random)",
    "loss": "whatever the loss depends on besides the weights",
    "update": "whatever the update depends on besides gradients",
}


def _lost(whole: Result, resumed: Result, start: int) -> list[str]:
    """What differs in the first step that is not the same."""
    data, data2 = inputs_by_step(whole), inputs_by_step(resumed)
    losses, losses2 = losses_by_step(whole), losses_by_step(resumed)
    reference = whole.steps()[start:]
    for i, (a, b) in enumerate(zip(reference, resumed.steps())):
        found = []
        found += ["optimizer state"] if a["state"] != b["state"] else []
        found += ["learning rate"] if a["lr"] != b["lr"] else []
        found += ["scheduler"] if a["sched_state"] != b["sched_state"] and a["lr"] == b["lr"] else []
        found += ["loss scale"] if a["scaler"] != b["scaler"] else []
        common = set(a["ema"]) & set(b["ema"])
        found += ["averaged weights"] if any(a["ema"][k] != b["ema"][k] for k in common) else []
        found += ["data"] if data[start + i] != data2[i] else []
        found += ["random numbers"] if _drawn_difference(reference, a, b, i) else []
        if not found and losses[start + i] != losses2[i]:
            found = ["loss"]
        if not found and a["after"] != b["after"]:
            found = ["update"]
        if found:
            return found
    return []


def _drawn_difference(reference: list[Event], a: Event, b: Event, position: int) -> bool:
    """Whether a random state differs that training draws from."""
    for name in set(a["rng"]) & set(b["rng"]):
        drawn = len({s["rng"].get(name) for s in reference[:4]}) > 1
        if drawn and a["rng"][name] != b["rng"][name]:
            return True
    return False


def _unsaved_scaler(whole: Result) -> str:
    """Advice, if loss scaling is used, saved nowhere, and switched off here so that its loss would not show."""
    used = any(e["scaled"] for e in whole.events("clip")) or whole.events("scaler_step")
    kept = any(e["of"] == "scaler" and e["what"] == "state_dict" for e in whole.events("state"))
    if used and not kept and not re.search(r"scaler\w*\.state_dict\(", sources(whole)):
        return "save scaler.state_dict() and load it when resuming: a fresh scale skips or repeats updates"
    return ""


# -- learning and stopping ------------------------------------------------------------


def judge_overfit(result: Result) -> Check:
    """The loss on one repeated batch falls far below its first value."""
    name, bound = "overfit", f"the loss on one repeated batch falls below {FALL:g} of its first value"
    losses = mean_losses(result)
    below = any(e["e"] == "stop" and e["reason"] == "below" for e in result.ranks[0])
    losses += [e["loss"] for e in result.events("bwd")][-1:] if below else []
    if losses and not all(map(math.isfinite, losses)):
        return failed(name, "nan or inf", bound, "lower the learning rate")
    reason = _not_comparable(result, losses)
    if reason:
        return skipped(name, reason)
    first, last = losses[0], min(losses[-3:])
    measured = f"{first:.4g} to {last:.4g} in {len(losses)} steps"
    if below or last <= FALL * first:
        return passed(name, measured, bound)
    recent, before = _mean(losses[-len(losses) // 10 :]), _mean(losses[-len(losses) // 5 : -len(losses) // 10])
    if len(losses) < 30 and not (last >= first and len(losses) >= 8):
        return skipped(name, f"only {len(losses)} steps could be taken ({measured})", measured)
    if len(losses) >= 30 and before - recent > PLATEAU * first:
        return skipped(name, f"still falling when the run ended ({measured})", measured)
    return failed(name, measured, bound, _LEARN + at(site_of(result.events("bwd"))))


def merge_faster(slow: Check, fast: Check, factor: float) -> Check:
    """The verdict on a run that did not learn, after one with a higher learning rate."""
    if fast["status"] == "pass" or "still falling" in fast["detail"]:
        return skipped(
            slow["name"],
            f"learns the batch with {factor:g} times its learning rate ({fast['measured'] or fast['detail']}), "
            f"not with its own ({slow['measured']})",
        )
    return slow


def _not_comparable(result: Result, losses: list[float]) -> str:
    """Why the losses of a run on one batch say nothing; empty if they do."""
    if result.error and len(losses) < 8:
        return f"the run {how_it_ended(result)}"
    later = [d for d in inputs_by_step(result)[2:] if d]
    if len(later) < 3 or any(set(d) != set(later[0]) for d in later):
        return "the batch could not be held fixed from outside (its data come from no DataLoader)"
    if len({s["memories"] for s in result.steps() if "memories" in s}) > 1:
        return "the model keeps a memory of past batches, so what it minimizes moves"
    if len({s["opt"] for s in result.steps()}) > 1:
        return "several optimizers train against each other"
    for event in result.events("floor")[:1]:
        return f"{event['why']}, so it has a floor above 0"
    if losses[0] <= 0 or min(losses) < 0:
        return f"the loss goes from {losses[0]:.3g} to {min(losses):.3g}: a bound relative to the first means nothing"
    return ""


_LEARN = (
    "the model cannot learn one batch by heart: look for a softmax in front of cross_entropy, targets that do not fit "
    "the inputs, a detached or frozen part, or a learning rate that is far too small"
)


def _mean(values: list[float]) -> float:
    return sum(values) / max(len(values), 1)


def judge_nan(result: Result, declared: bool) -> Check:
    """A NaN in a forward pass does not reach the weights."""
    name, bound = "nan_guard", "a NaN in the forward pass never reaches the weights"
    if not result.events("nan_injected"):
        return skipped(name, "the run ended before the NaN was injected")
    after = False
    poisoned: Event | None = None
    for event in result.ranks[0]:
        after = after or event["e"] == "nan_injected"
        if after and event["e"] == "step" and not event.get("finite", True):
            poisoned = event
            break
    if poisoned is None:
        how = how_it_ended(result) if result.error or any(result.codes) else "goes on without the update"
        return passed(name, f"the run {how}"[:200], bound)
    fix = "check torch.isfinite of the loss or the gradient norm before optimizer.step(), and stop or skip the step"
    if declared or GUARDS.search(sources(result)):
        return failed(name, f"weights are NaN after step {poisoned['s']}", bound, fix + at(poisoned["site"]))
    return skipped(name, f"the project has no guard: weights are NaN after step {poisoned['s']}; {fix}")


def judge_kill(killed: Result) -> str:
    """Why a run that should have been killed was not; empty if it was."""
    if killed.codes and killed.codes[0] == -9:
        return ""
    return f"the run {how_it_ended(killed)} before it could be killed"


def saves(result: Result) -> list[dict[str, Any]]:
    """The checkpoints of a run: after which step, whether in the middle of an epoch, and where they ended up."""
    found: list[dict[str, Any]] = []
    ended = False
    for event in result.ranks[0]:
        if event["e"] == "batch":
            ended = False
        elif event["e"] == "iter_end":
            ended = True
        elif event["e"] == "save" and event["step"] > 0:
            found.append({"step": event["step"], "middle": not ended, "path": event["path"], "keys": event["keys"]})
        elif event["e"] == "rename":
            for save in found:
                save["path"] = event["dst"] if save["path"] == event["src"] else save["path"]
    return found
