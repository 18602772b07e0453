"""Judges runs on several ranks: `torchrun.*`, `world_size`, `uneven`, `crash`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from .judge_step import how_it_ended, site_of
from .runs import Event, Result
from .verdict import Check, at, broken, failed, listed, passed, skipped

TOLERANCE = 1e-3
_ECHO = re.compile(r"Connection (closed|reset)|Broken pipe|gloo|Socket Timeout|timed out", re.IGNORECASE)


def judge_ranks(result: Result, prefix: str = "torchrun") -> Iterator[Check]:
    """All that a run on several ranks shows."""
    world = len(result.ranks)
    ended = _ended(result, prefix)
    yield ended
    if ended["status"] != "pass":
        # Ranks that move the same file away from each other end in an error: name its cause as well.
        writers = _writers(result, prefix)
        if writers["status"] == "fail":
            yield writers
        return
    yield _parameters(result, prefix, world)
    yield _data(result, prefix)
    yield _writers(result, prefix)
    yield _epochs(result, prefix)


def _ended(result: Result, prefix: str) -> Check:
    name, bound = prefix + ".ends", "every rank ends"
    if result.hang:
        return failed(name, "hangs", bound, "; ".join(result.hang) + ". " + _mismatch(result))
    error = _first_cause(result)
    if error and _ECHO.search(error["message"]):
        return failed(name, "ranks lose each other", bound, _mismatch(result) + " " + _first_error(error))
    if error:
        return failed(name, f"{error['type']} on rank {_rank_of(result, error)}", bound, _first_error(error))
    if result.timed_out:
        return failed(
            name, f"still running after {result.seconds:.0f} s", bound, "shorten the run, or look for a rank that waits"
        )
    if not result.ended:
        return failed(name, f"exit codes {result.codes}", bound, "a rank ended early: " + result.tail(300))
    codes = [e["code"] for events in result.ranks for e in events if e["e"] == "end"]
    if any(codes):
        return failed(name, f"exit codes {codes}", bound, "a rank ended with a failure: " + result.tail(300))
    if not any(e["e"] == "group" for e in result.ranks[0]):
        return failed(
            name,
            "no process group",
            "init_process_group is called",
            "call torch.distributed.init_process_group() when WORLD_SIZE is above 1",
        )
    counts = [len(result.steps(rank)) for rank in range(len(result.ranks))]
    if not all(counts):
        return failed(
            name, f"optimizer steps per rank: {counts}", "every rank trains", "no step was taken on some rank"
        )
    if len(set(counts)) > 1:
        return failed(
            name,
            f"optimizer steps per rank: {counts}",
            "as many on every rank",
            "give every rank as many batches: drop_last=True or a padding DistributedSampler",
        )
    return passed(name, f"{len(counts)} ranks, {counts[0]} steps", bound)


def _first_cause(result: Result) -> Event | None:
    """The first error that is not just the echo of another rank's end."""
    errors = [e for events in result.ranks for e in events if e["e"] == "error"]
    return next((e for e in errors if not _ECHO.search(e["message"])), errors[0] if errors else None)


def _rank_of(result: Result, error: Event) -> int:
    return next(i for i, events in enumerate(result.ranks) if error in events)


def _first_error(error: Event) -> str:
    message = error["message"]
    advice = message[:400]
    if "did not receive grad" in message or "finished reduction in the prior iteration" in message:
        advice = (
            "some parameters take no part in the loss: remove them or set find_unused_parameters=True. " + message[:200]
        )
    return str(advice) + at(error["site"])


def _mismatch(result: Result) -> str:
    """The first collective that not all ranks call."""
    calls = [[(e["name"], e["site"]) for e in events if e["e"] == "coll"] for events in result.ranks]
    for position in range(max(map(len, calls), default=0)):
        here = [c[position] if position < len(c) else None for c in calls]
        if len(set(here)) > 1:
            for rank, call in enumerate(here):
                if call is not None and any(other != call for other in here):
                    where = call[0] + at(call[1])
                    return f"Only rank {rank} calls {where}: every rank must, so move it out of the condition."
    return "Every rank must take as many steps and call the same collectives in the same order."


def _parameters(result: Result, prefix: str, world: int) -> Check:
    name, bound = prefix + ".parameters", "equal on all ranks after every step"
    if any(step.get("sharded") for step in result.steps(0)):
        return skipped(name, "the parameters are sharded: every rank holds its own part of them")
    for position, first in enumerate(result.steps(0)):
        others = [result.steps(rank)[position] for rank in range(1, world)]
        for rank, other in enumerate(others, 1):
            if other["params"] != first["params"] and position == 0:
                ddp = result.events("ddp")
                fix = "wrap the model in DistributedDataParallel, which sends rank 0's weights, or seed ranks alike"
                return failed(
                    name,
                    f"rank {rank} starts from other weights than rank 0",
                    bound,
                    fix + at(site_of(ddp or result.events("optimizer"))),
                )
            if other["after"] != first["after"]:
                fix = (
                    "average the gradients: call the DDP-wrapped model (not model.module) in the training forward pass"
                )
                if not result.events("ddp"):
                    fix = "wrap the model in DistributedDataParallel before training, or all_reduce every gradient"
                return failed(
                    name,
                    f"rank {rank} differs from rank 0 after step {position + 1}",
                    bound,
                    fix + at(first["site"]),
                )
            for label in set(first["ema"]) & set(other["ema"]):
                if first["ema"][label] != other["ema"][label]:
                    return failed(
                        name,
                        f"{label} differs between ranks",
                        bound,
                        "make the averaged copy after DDP has synchronized the weights",
                    )
    return passed(name, f"{len(result.steps(0))} steps", bound)


def _inputs(result: Result, rank: int) -> list[str]:
    """Fingerprints of what entered the model in training, batch by batch."""
    return [e["input"] for e in result.events("fwd", rank) if e["trained"] and e["grad"]]


def _data(result: Result, prefix: str) -> Check:
    name, bound = prefix + ".data", "ranks train on different samples"
    first, second = _inputs(result, 0), _inputs(result, 1)
    if not first or not second:
        return skipped(name, "no training forward pass was seen")
    same = sum(a == b for a, b in zip(first, second))
    if same == min(len(first), len(second)):
        loaders = result.events("loader")
        return failed(
            name,
            f"all {same} batches are equal on ranks 0 and 1",
            bound,
            f"give the loader a DistributedSampler (or draw with a generator seeded by the rank){at(site_of(loaders))}",
        )
    shared = _shared_samples(result)
    if shared is not None and shared > 0.5:
        return failed(
            name, f"{100 * shared:.0f} % of the samples are shared", bound, "split the samples by rank, disjointly"
        )
    return passed(
        name,
        f"0 of {len(first)} batches shared" if not same else f"{same} of {len(first)} batches shared",
        bound,
    )


def _shared_samples(result: Result) -> float | None:
    """Share of the samples of the first epoch that rank 1 has in common with rank 0."""
    seen: list[set[str]] = []
    for rank in (0, 1):
        own: set[str] = set()
        count = 0
        started: set[int] = set()
        for event in result.ranks[rank]:
            if event["e"] == "iter":
                if event["loader"] in started:
                    break
                started.add(event["loader"])
            if event["e"] == "batch" and event["loader"] == 0:
                own.update(event["samples"])
                count += len(event["samples"])
        # Data that repeat themselves are in common by right.
        seen.append(own if len(own) > 0.8 * count else set())
    if not all(seen) or min(map(len, seen)) < 4:
        return None
    return len(seen[0] & seen[1]) / min(map(len, seen))


def _writers(result: Result, prefix: str) -> Check:
    name, bound = prefix + ".writes", "only one rank writes each file"
    by_path: dict[str, list[tuple[int, str]]] = {}
    for rank in range(len(result.ranks)):
        for event in result.events("write", rank):
            by_path.setdefault(event["path"], []).append((rank, event["site"]))
        for event in result.events("save", rank):
            by_path.setdefault(event["path"], []).append((rank, event["site"]))
    clashes = {p: w for p, w in by_path.items() if len({rank for rank, _ in w}) > 1}
    for path, writers in clashes.items():
        ranks = sorted({rank for rank, _ in writers})
        return failed(
            name,
            "{} is written by rank(s) {}".format(path.rpartition("/")[2], ranks),
            bound,
            f"write only where rank == 0{at(writers[-1][1])}",
        )
    return passed(name, f"{len(by_path)} files", bound)


def _epochs(result: Result, prefix: str) -> Check:
    name, bound = prefix + ".epochs", "the order of the samples changes with the epoch"
    verdict = order_changes(result, name, bound)
    return verdict or skipped(name, "no shuffling loader was read for two epochs")


def order_changes(result: Result, name: str, bound: str) -> Check | None:
    """Judge whether a shuffling loader's second epoch has another order than its first; `None` if none was seen."""
    loaders = {e["i"]: e for e in result.events("loader")}
    trained = {p["loader"] for p in loader_passes(result) if p["bwd"]}
    judged = 0
    for index in sorted(trained & set(loaders)):
        loader = loaders[index]
        orders = [p["indices"] or p["samples"] for p in loader_passes(result) if p["loader"] == index]
        full = [o for o in orders if len(o) >= 6]
        distributed = "Distributed" in loader["sampler"]
        marks = [e["epoch"] for e in result.events("iter") if e["loader"] == index]
        stuck = distributed and loader["shuffles"] and len(marks) > 1 and len(set(marks)) == 1
        shuffled = loader["shuffles"] or any(o != sorted(o) for o in full if isinstance(o[0], int))
        if not shuffled or (len(full) < 2 and not stuck):
            continue
        judged += 1
        length = min(len(full[0]), len(full[1])) if len(full) > 1 else 0
        if stuck or full[0][:length] == full[1][:length]:
            fix = "call sampler.set_epoch(epoch) before every epoch"
            if not distributed:
                fix = "let the order depend on the epoch: do not reseed it alike every epoch"
            return failed(name, "two epochs have the same order", bound, fix + at(loader["site"]))
    return passed(name, f"{judged} loader(s)", bound) if judged else None


def loader_passes(result: Result) -> list[dict[str, Any]]:
    """The passes over loaders: which loader, its forward passes, its samples, and whether training happened in it."""
    found: list[dict[str, Any]] = []
    for event in result.ranks[0]:
        if event["e"] == "iter":
            new = {"loader": event["loader"], "fwd": [], "bwd": 0, "samples": [], "indices": [], "values": {}}
            found.append(new)
        elif not found:
            continue
        elif event["e"] == "fwd":
            found[-1]["fwd"].append(event)
        elif event["e"] == "bwd":
            found[-1]["bwd"] += 1
        elif event["e"] == "batch" and event["loader"] == found[-1]["loader"]:
            found[-1]["samples"] += event["samples"]
            found[-1]["indices"] += event["indices"]
        elif event["e"] == "iter_end":
            found[-1]["values"] = event.get("values", {})
    return found


def judge_world_size(result: Result) -> Check:
    """Whether the synchronized gradient is the mean of the ranks' own."""
    name, bound = "world_size", "the synchronized gradient is the mean over the ranks"
    ended = _ended(result, name)
    if ended["status"] != "pass":
        return {**ended, "name": name}
    world = len(result.ranks)
    for position in range(len(result.steps(0))):
        events = [result.steps(rank)[position] for rank in range(world)]
        local = [e.get("local") for e in events]
        if any(v is None for v in local) or any(e.get("projection") is None for e in events):
            return skipped(name, "the ranks' own gradients could not be computed beside the synchronized ones")
        mean = [sum(values) / world for values in zip(*local)]
        found = events[0]["projection"]
        size = math.sqrt(sum(v * v for v in mean))
        ratio = sum(a * b for a, b in zip(found, mean)) / max(size * size, 1e-30)
        error = math.sqrt(sum((a - b) ** 2 for a, b in zip(found, mean))) / max(size, 1e-12)
        if error > TOLERANCE:
            clear = abs(ratio * world - 1) < 0.02 or abs(ratio - world) < 0.02
            what = f"{ratio:.3g} times the mean" if clear else f"relative difference {error:.2g}"
            fix = "divide the summed gradients by the world size exactly once (DDP already does)"
            if not clear:
                fix = (
                    "average every gradient in the last backward pass of a step; no_sync() only around the earlier ones"
                )
            return failed(name, what, bound, fix + at(events[0]["site"]))
    return passed(name, f"{len(result.steps(0))} steps on {world} ranks", bound)


def judge_same_batch(one: Result, several: Result) -> Check | None:
    """A failure if several ranks that all read one batch have a multiple of the gradient of one rank that reads it."""
    world = len(several.ranks)
    inputs = [set(_inputs(one, 0)), *[set(_inputs(several, rank)) for rank in range(world)]]
    steps = [one.steps()[:1], several.steps()[:1]]
    if any(len(i) != 1 or i != inputs[0] for i in inputs) or not all(steps):
        return None
    alone, together = steps[0][0].get("projection"), steps[1][0].get("projection")
    if not alone or not together:
        return None
    size = sum(v * v for v in alone)
    ratio = sum(a * b for a, b in zip(alone, together)) / max(size, 1e-30)
    rest = math.sqrt(sum((b - ratio * a) ** 2 for a, b in zip(alone, together)))
    if abs(ratio - 1) < 0.02 or rest > 0.02 * abs(ratio) * math.sqrt(size):
        return None
    return failed(
        "world_size",
        f"{ratio:.3g} times the gradient of one rank on the same batch",
        f"the same gradient on 1 and on {world} ranks",
        "count every sample once: DDP averages over ranks, so divide by the rank's own samples, or by all ranks' "
        f"and multiply by the world size{at(site_of(several.events('bwd')))}",
    )


def judge_uneven(result: Result, plain: Result | None) -> Check:
    """Whether a run whose data does not divide by the ranks ends."""
    name, bound = "uneven", "data that the ranks cannot divide ends without a hang"
    lengths = [(e["length"], e["batch_size"]) for e in result.events("loader")]
    before = [(e["length"], e["batch_size"]) for e in plain.events("loader")] if plain else []
    if not lengths:
        return skipped(name, "no DataLoader was seen")
    if result.error and "length" in result.error["message"].lower() and not result.hang:
        return skipped(name, "the data sets insist on their length: {}".format(result.error["message"][:120]))
    ended = _ended(result, name)
    if ended["status"] != "pass":
        return {**ended, "name": name, "expected": bound}
    if before and lengths == before:
        return skipped(name, "the data sets could not be made shorter from outside")
    return passed(name, f"lengths {listed(str(n) for n, _ in lengths)}", bound)


def judge_crash(result: Result, rank: int) -> Check:
    """Whether an exception on one rank ends all, and is named."""
    name, bound = "crash", "an exception on one rank ends all ranks and is named"
    error = next((e for e in (result.events("error", rank) or [])), None)
    if not result.steps(0) and result.error and "injected by the crash check" not in result.error["message"]:
        return broken(name, f"the run {how_it_ended(result)} before the exception was injected")
    if len(result.steps(rank)) > result_step(result) and not error:
        return failed(
            name,
            f"rank {rank} went on after the exception",
            bound,
            f"do not swallow exceptions in the training loop: log and re-raise{at(site_of(result.steps(rank)))}",
        )
    if result.hang or result.timed_out:
        return failed(
            name,
            "; ".join(result.hang) or f"still running after {result.seconds:.0f} s",
            bound,
            "a rank waits for the one that failed: no collective in finally or except blocks",
        )
    code = result.codes[rank] if rank < len(result.codes) else None
    if code == 0:
        return failed(
            name,
            f"rank {rank} exits with status 0",
            bound,
            "re-raise the exception after handling it, so that the launcher sees the failure",
        )
    if "InjectedCrashError" not in result.output:
        return failed(
            name, "the exception is not in the output", bound, "print the traceback, or let the exception propagate"
        )
    return passed(name, f"all ended {result.seconds:.1f} s after the start", bound)


def result_step(result: Result) -> int:
    """The number of steps before the injected exception."""
    return 1


def merge_launcher(result: Result) -> Check:
    """The verdict on a run by a real torchrun: by what the ranks wrote, not by its exit status alone."""
    verdict = _ended(result, "torchrun")
    if verdict["status"] == "pass":
        different = _parameters(result, "torchrun", len(result.ranks))
        if different["status"] == "fail":
            return {**different, "name": "torchrun"}
        note = "" if result.codes == [0] else f" (torchrun itself left with {result.codes} after all ranks had ended)"
        return passed(
            "torchrun", verdict["measured"] + note, "every rank ends, parameters equal", "launched by torchrun"
        )
    return {**verdict, "name": "torchrun"}
