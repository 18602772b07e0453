"""Judges single training steps: `one_batch.*`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from .runs import Event, Result
from .verdict import Check, at, failed, listed, passed, skipped

RISING = 7
"""Steps in a row that each leave a graph behind."""
_ON_PURPOSE = re.compile(
    r"pre_?train|freez|frozen|lora|adapter|prob(e|ing)|torch\.hub|distill|random_feature", re.IGNORECASE
)
_AUTOENCODES = re.compile(r"auto_?encod|reconstruct|denois", re.IGNORECASE)
_BY_HAND = re.compile(r"\.grad\b(?!_)")


def judge_one_batch(result: Result) -> Iterator[Check]:
    """All that a few steps of a plain run show."""
    steps = result.steps()
    yield _loss(result)
    if not steps:
        yield _no_step(result)
        return
    yield _gradients(result, steps)
    yield _optimizer(steps)
    yield _update(steps)
    yield _zero_grad(result, steps)
    yield _mode(result)
    yield _wiring(result)
    yield from _targets(result)
    yield _clip(result)
    yield _graph(result, steps)


def site_of(events: list[Event]) -> str:
    """The first line of user code that the events name."""
    return next((e["site"] for e in events if e.get("site")), "")


def _loss(result: Result) -> Check:
    name, backwards = "one_batch.loss", result.events("bwd")
    if not backwards:
        return failed(
            name,
            "no backward pass",
            "a scalar, finite loss",
            f"call loss.backward() for every batch; the run {how_it_ended(result)}",
        )
    values = [e["loss"] for e in backwards]
    site = at(site_of(backwards))
    if any(e["numel"] != 1 for e in backwards):
        return failed(name, f"{backwards[0]['numel']} elements", "1 element", "reduce the loss to a scalar" + site)
    wrong = next((i for i, v in enumerate(values) if not math.isfinite(v)), None)
    if wrong is not None:
        return failed(
            name,
            f"{values[wrong]} in backward pass {wrong + 1}",
            "finite",
            f"find the first non-finite value before the loss{site}: log(0), 0/0, an overflow in half precision",
        )
    return passed(name, f"{values[0]:.4g} to {values[-1]:.4g} in {len(values)} backward passes", "finite scalar")


def sources(result: Result) -> str:
    """All Python of the project."""
    return "\n".join(p.read_text("utf-8", "replace") for p in sorted(result.root.rglob("*.py")))


def how_it_ended(result: Result) -> str:
    """The end of a run as a clause."""
    error = result.error
    if error:
        return "ended with {}: {}{}".format(error["type"], error["message"][:200], at(error["site"]))
    if result.timed_out:
        return f"did not get there within {result.seconds:.0f} s"
    return f"ended with exit status {result.codes[0] if result.codes else '?'}"


def _no_step(result: Result) -> Check:
    optimizers = result.events("optimizer")
    if not optimizers and len(result.events("bwd")) > 1 and _BY_HAND.search(sources(result)):
        return skipped("one_batch.update", "the weights are updated by hand, not by torch.optim: that is not watched")
    fix = "call optimizer.step() after backward()" if optimizers else "make an optimizer of torch.optim and step it"
    return failed(
        "one_batch.update", "no optimizer step", "parameters change", f"{fix}; the run {how_it_ended(result)}"
    )


def _gradients(result: Result, steps: list[Event]) -> Check:
    name, watched = "one_batch.gradients", [s for s in steps if "none" in s]
    missing = _in_all(watched, "none")
    frozen = result.events("frozen_head")
    wide = any(e.get("find_unused") for e in result.events("ddp"))
    nonfinite = [p for s in watched for p in s["nonfinite"]]
    if missing and not wide:
        return failed(
            name,
            f"{len(missing)} of {watched[0]['n']} parameters get none",
            "every trainable parameter gets a gradient",
            "{}: not part of the graph. Look for a detach(), no_grad() or .item() in front, an output that the "
            "loss does not use, or an optimizer made for another copy of the model{}".format(
                listed(missing), at(site_of(result.events("optimizer")))
            ),
        )
    if nonfinite:
        return failed(
            name, "nan or inf in " + listed(nonfinite), "finite", "see where the loss overflows or divides by 0"
        )
    dead = _dead(watched)
    if dead:
        return failed(
            name,
            f"exactly zero in {len(watched)} steps: {listed(dead)}",
            "non-zero after the first update",
            f"{listed(dead)} cannot learn: look for a factor of 0, a dead ReLU or a mask that removes its contribution",
        )
    if frozen:
        names = listed(frozen[0]["names"])
        return failed(
            name,
            "the last layer is frozen: " + names,
            "the head trains, or was loaded from a file",
            f"{names} is randomly initialized and has requires_grad=False: unfreeze it, or the rest fits noise",
        )
    layers = [n for e in result.events("frozen_layers") for n in e["names"]]
    if layers and not _ON_PURPOSE.search(sources(result)):
        return failed(
            name,
            f"{len(layers)} layers are frozen as they were initialized: {listed(layers)}",
            "what is frozen was loaded from a file",
            "unfreeze them (requires_grad), or load their weights first",
        )
    count = watched[0]["n"] - watched[0]["frozen"]
    return passed(name, f"{count} parameters", "every trainable parameter gets a gradient")


def _dead(steps: list[Event]) -> list[str]:
    """Parameters that nothing reaches.

    Not a bias alone, whose weight does learn: what is subtracted or normalized away after it has no gradient by right
    (a critic's last bias, a bias in front of a normalization).
    """
    dead = _in_all(steps, "zero") if len(steps) > 2 else []
    return [p for p in dead if not p.endswith("bias") or p[: -len("bias")] + "weight" in dead]


def _in_all(steps: list[Event], key: str) -> list[str]:
    """Names that occur in every step of their optimizer."""
    found: list[str] = []
    for opt in sorted({s["opt"] for s in steps}):
        own = [s for s in steps if s["opt"] == opt]
        found += [p for p in own[0][key] if all(p in s[key] for s in own)]
    return found


def _optimizer(steps: list[Event]) -> Check:
    name = "one_batch.optimizer"
    watched = [s["loose"] for s in steps if "loose" in s]
    # The second of two models that train in turn gets its first gradient after the first step.
    loose = [p for p in watched[-1] if sum(p in names for names in watched) >= min(2, len(watched))] if watched else []
    if loose:
        return failed(
            name,
            f"{len(loose)} parameters with a gradient are in no optimizer",
            "every parameter that gets a gradient is updated",
            f"{listed(loose)}: give them to the optimizer, or freeze them with requires_grad_(False)",
        )
    return passed(
        name, f"{len({s['opt'] for s in steps})} optimizer(s)", "every parameter that gets a gradient is updated"
    )


def _update(steps: list[Event]) -> Check:
    name, bound = "one_batch.update", "the step changes every parameter with a gradient"
    moving = [s for s in steps if "unchanged" in s and any(lr > 0 for lr in s["lr"] or [1.0])]
    if not moving:
        if all(s["params"] == s["after"] for s in steps):
            return failed(name, f"lr is 0 in all {len(steps)} steps", bound, "start the learning rate above 0")
        return passed(name, "parameters change", bound)
    still = _in_all(moving, "unchanged")
    if still:
        return failed(
            name,
            f"{len(still)} parameters unchanged",
            bound,
            "{} keep their values although they have gradients: look at their group's lr ({}) and for a copy that is "
            "restored after the step".format(listed(still), ", ".join(f"{lr:.3g}" for lr in moving[0]["lr"])),
        )
    return passed(name, "lr {}".format(", ".join(f"{lr:.3g}" for lr in moving[0]["lr"][:3])), bound)


def _zero_grad(result: Result, steps: list[Event]) -> Check:
    name, bound = "one_batch.zero_grad", "gradients are cleared between two steps"
    later = [s for i, s in enumerate(steps) if any(t["opt"] == s["opt"] for t in steps[:i])]
    if not later:
        return skipped(name, "only one optimizer step was seen")
    stale = [s for s in later if not s["clean"]]
    if stale:
        return failed(
            name,
            f"step {stale[0]['s']} starts from the gradients of the one before",
            bound,
            "call optimizer.zero_grad() after optimizer.step(){}".format(at(stale[0]["site"])),
        )
    return passed(name, f"clean in {len(later)} steps", bound)


def _training_forwards(result: Result) -> list[Event]:
    """Forward passes of trained modules that a backward pass followed."""
    found: list[Event] = []
    waiting: list[Event] = []
    for event in result.ranks[0]:
        if event["e"] == "fwd" and event["trained"] and event["grad"]:
            waiting.append(event)
        elif event["e"] == "bwd":
            found += waiting
            waiting = []
        elif event["e"] in ("iter_end", "iter"):
            waiting = []
    return found


def _mode(result: Result) -> Check:
    name, bound = "one_batch.mode", "the model trains in training mode"
    forwards = _training_forwards(result)
    if not forwards:
        return skipped(name, "no forward pass of a module with parameters was seen before a backward pass")
    was_training = False
    for i, event in enumerate(forwards):
        if event["train"]:
            was_training = True
        elif was_training or (event["layers"] and event["layers_eval"] == event["layers"]):
            when = f"from training forward pass {i + 1} on"
            return failed(
                name,
                "{} is in evaluation mode {}".format(event["cls"], when),
                bound,
                "call model.train() before the training loop{}{}".format(
                    " and after every evaluation" if was_training else "", at(event["site"])
                ),
            )
    return passed(name, f"{len(forwards)} forward passes", bound)


def _wiring(result: Result) -> Check:
    name, bound = "one_batch.losses", "every loss that is computed reaches a backward pass"
    found = [c for e in result.events("losses") for c in e["found"]]
    if not found:
        return skipped(name, "no function of the project returns a scalar with a graph")
    lost = [c for c in found if not c["reached"]]
    constant = next((c for c in lost if c.get("constant")), None)
    if constant:
        what = f"{constant['name']} is added to the loss and has no graph"
        fix = "compute it of the model's output: its input was cut off by detach(), no_grad(), argmax or item()"
        return failed(name, what, bound, fix + at(constant["site"]))
    if lost:
        what = lost[0]["target"] or lost[0]["name"]
        return failed(
            name,
            "{} is computed and never reaches backward()".format(listed(c["target"] or c["name"] for c in lost)),
            bound,
            "add {} ({}) to the loss, without detach() or .item(), or compute it under torch.no_grad(){}".format(
                what, lost[0]["name"], at(lost[0]["site"])
            ),
        )
    return passed(name, f"{len(found)} scalars", bound)


def _targets(result: Result) -> Iterator[Check]:
    """What the loss compares with what; nothing where neither shapes nor tokens were seen."""
    name = "one_batch.targets"
    for event in result.events("broadcast")[:1]:
        shapes = " and ".join(str(tuple(s)) for s in event["shapes"])
        fix = "give both one shape, by squeeze(-1) or unsqueeze(-1): now every prediction is compared with every target"
        yield failed(
            name, f"shapes {shapes} broadcast", "prediction and target have one shape", fix + at(event["site"])
        )
        return
    for event in result.events("scores")[:1]:
        given, wanted = (
            ("probabilities", "logits")
            if event["name"] == "cross_entropy"
            else ("probabilities" if event["name"] == "kl_div" else "logits", "log-probabilities")
        )
        fix = f"give it {wanted}: " + ("no softmax before it" if wanted == "logits" else "log_softmax first")
        yield failed(
            name, f"{event['name']} is given {given}", f"{event['name']} takes {wanted}", fix + at(event["site"])
        )
        return
    seen = {e["ahead"]: e["site"] for e in result.events("tokens")}
    if not seen or (0 in seen and _AUTOENCODES.search(sources(result))):
        return
    bound = "the target of a position is the next token"
    if 1 in seen:
        yield passed(name, "targets are one token ahead of the inputs", bound)
    elif 0 in seen:
        fix = "predict the next token: inputs ids[:-1], targets ids[1:]; as it is the model only copies its input"
        yield failed(name, "the targets are the inputs, not shifted", bound, fix + at(seen[0]))
    else:
        offset = min(seen)
        fix = "shift once: either in the data or in the model (Hugging Face models shift labels themselves)"
        yield failed(name, f"targets are {offset} tokens ahead of the inputs", bound, fix + at(seen[offset]))


def _clip(result: Result) -> Check:
    name = "one_batch.clip"
    clips = result.events("clip")
    if not clips:
        return skipped(name, "gradients are not clipped")
    early = [c for c in clips if c["scaled"]]
    late = _clip_then_unscale(result)
    if [c for c in early if c["enabled"]] or late:
        return failed(
            name,
            "clips gradients that are still multiplied by the loss scale",
            "clip after scaler.unscale_(optimizer)",
            "call scaler.unscale_(optimizer) before clip_grad_norm_{}".format(at(clips[0]["site"])),
        )
    loose = [u for s in result.steps() for u in s.get("unclipped", [])]
    if loose:
        return failed(
            name,
            "norm {:.3g} at the step".format(loose[0]["norm"]),
            "at most {:.3g}".format(loose[0]["bound"]),
            "clip after the last backward pass of the step, and the parameters of this optimizer{}".format(
                at(loose[0]["site"])
            ),
        )
    unused = _clip_after_step(result)
    if unused:
        return failed(
            name,
            "clips after the step",
            "clips between backward and step",
            "move it before step(){}".format(at(unused["site"])),
        )
    if early:
        return skipped(name, "loss scaling is switched off on this device, so the order could not be seen")
    return passed(
        name, "norm at most {:.3g}".format(clips[0]["bound"]), "clipped after the last backward pass, unscaled"
    )


def _clip_then_unscale(result: Result) -> bool:
    seen_clip: set[Any] = set()
    for event in result.ranks[0]:
        if event["e"] == "clip":
            seen_clip.add(event["opt"])
        elif event["e"] == "unscale" and event["opt"] in seen_clip:
            return True
        elif event["e"] in ("step", "bwd", "scaler_step"):
            seen_clip.discard(event.get("opt", next(iter(seen_clip), None)))
    return False


def _clip_after_step(result: Result) -> Event | None:
    """A clip that follows a step without a backward pass between."""
    backward = True
    for event in result.ranks[0]:
        if event["e"] == "bwd":
            backward = True
        elif event["e"] == "step":
            backward = False
        elif event["e"] == "clip" and not backward and not any(s["opt"] != event["opt"] for s in result.steps()):
            return event
    return None


def _graph(result: Result, steps: list[Event]) -> Check:
    name, bound = "one_batch.graph", "the graph of a step is freed by the next one but one"
    if len(steps) < 4:
        return skipped(name, "fewer than four optimizer steps were seen")
    return graph_growth(name, bound, result, steps) or passed(name, f"{steps[-1]['graphs']} old graphs alive", bound)


def graph_growth(name: str, bound: str, result: Result, steps: list[Event]) -> Check | None:
    """A failure if the number of live graphs grows with every step."""
    alive = [s["graphs"] for s in steps]
    grows = alive[-1] >= max(2, (len(steps) - 2) // 2) and alive[-1] > alive[len(alive) // 2]
    rising = [all(b == a + 1 for a, b in zip(part, part[1:])) for part in zip(*(alive[i:] for i in range(RISING)))]
    # A list that is cleared after every epoch grows only within one.
    if not grows and not any(rising):
        return None
    keepers = [k for e in result.events("keepers") for k in e["names"]]
    what = listed(keepers) or "something"
    return failed(
        name,
        f"{max(alive)} graphs alive after {alive.index(max(alive)) + 1} steps",
        bound,
        "{} keeps every loss with its graph: store loss.detach() instead{}".format(
            what, at(site_of(result.events("bwd")))
        ),
    )
