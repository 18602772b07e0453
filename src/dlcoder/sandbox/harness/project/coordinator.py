"""Plans the runs that the asked-for checks need, cheap ones first, and hands out each result as it is known."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

from . import judge_best, judge_loop, judge_ranks, judge_repeat, judge_saves, judge_step, knobs, likeness
from .catalogue import CHECKS
from .judge_loop import usual_size
from .preload import preload
from .runs import Result, Runner
from .verdict import Check, broken, failed, listed, passed, skipped

Emit = Callable[[dict[str, Any]], None]
FEW_STEPS = 4
MANY_STEPS = 48
OVERFIT_STEPS = 300
FASTER = 10
"""Times the learning rate with which a run is repeated that did not learn: a small rate is no fault."""
MOST_KNOBS = 60
KNOB_RESERVE_S = 5.0
OWN_LOG_FIELDS = ["step", "epoch", "loss_total", "lr", "grad_norm", "time_data", "time_iter", "max_mem"]
"""What projects made by dlcoder log at every step."""
LOOP_CHECKS = ("scheduler", "accumulation", "ema", "validation", "memory", "syncs", "logs")
_DISTRIBUTED = re.compile(
    r"init_process_group|DistributedDataParallel|torch\.distributed|Accelerator\(|FullyShardedDataParallel|fully_shard|"
    r"Fabric\(|TrainingArguments|\bdeepspeed\b"
)
_FOLDER = re.compile(r"(checkpoint|ckpt|step|epoch|global_step)[-_=]?\d+", re.IGNORECASE)
_SIGTERM = re.compile(r"\bSIGTERM\b")
_LAUNCHED = re.compile(r"\b(LOCAL_RANK|RANK|WORLD_SIZE|MASTER_ADDR)\b|process group has not been initialized")
"""Errors of a program that only runs under a launcher."""


def main(request: dict[str, Any], emit: Emit) -> None:
    """Run the checks that a request names.

    Args:
        request: `root`, `entry`, `args`, `env`, `checks`, `nproc`, `timeout_s`, `device`, `declared` and what `smoke`
            found out about the project.
        emit: Takes a frame: {"progress": ...}, {"check": ...}, {"note": ...}, and at last {"done": true}.
    """
    Coordinator(request, emit).work()
    emit({"done": True})


class Coordinator:
    """One request's runs and their results."""

    def __init__(self, request: dict[str, Any], emit: Emit) -> None:
        self.request = request
        self.emit = emit
        self.checks = [name for name in CHECKS if name in request["checks"]]
        self.nproc = int(request.get("nproc", 2))
        source = Path(request.get("root") or Path.cwd()).resolve()
        deadline = time.monotonic() + float(request.get("timeout_s", 300)) - 2
        env = {
            "OMP_NUM_THREADS": "1",
            "WANDB_MODE": "disabled",
            "TOKENIZERS_PARALLELISM": "false",
            **request.get("env", {}),
        }
        if request.get("device") == "cpu":
            env["CUDA_VISIBLE_DEVICES"] = ""
        self.runner = Runner(source, request["entry"], list(request.get("args", [])), env, deadline)
        self.settings: dict[str, Any] = request.get("settings", {})
        self.plain: Result | None = None
        self.bare = False
        """Whether the plain run was watched no more than the runs that are compared with it."""
        self.short: Result | None = None
        self.short_tried = False
        self.shrink = 0
        self.ranked: Result | None = None
        self.done = 0

    def work(self) -> None:
        """Make every check, and stop where a fatal one leaves nothing to see."""
        preload(self.runner.source)
        for name in self.checks:
            self.emit({"progress": f"running {name}", "fraction": self.done / max(len(self.checks), 1)})
            for check in self._guarded(name):
                self.emit({"check": check})
            self.done += 1

    def _guarded(self, name: str) -> Iterator[Check]:
        if self.runner.remaining() < 2:
            yield skipped(name, "the time limit of the call was reached before it")
            return
        fatal = self._fatal()
        if fatal and name != "one_batch":
            yield skipped(name, f"the plain run {fatal}")
            return
        yield from getattr(self, "check_" + name)()

    def _fatal(self) -> str:
        """Why no further run can show anything: the plain run took no step."""
        if self.plain is not None and not self.plain.steps() and not self.plain.events("bwd"):
            return judge_step.how_it_ended(self.plain)
        return ""

    def plain_run(self) -> Result:
        """A run on one process with nothing changed, stopped early if only single steps are asked about."""
        if self.plain is None:
            whole = any(name in self.checks for name in (*LOOP_CHECKS, "resume", "knobs", "overfit"))
            closely = any(name in self.checks for name in (*LOOP_CHECKS, "one_batch"))
            options: dict[str, Any] = {"stop_after": MANY_STEPS if whole else FEW_STEPS}
            if closely:
                options = {**options, "losses": True, "memory": whole, "probe": whole}
            self.plain = self.runner.run("plain", options=options, limit=90)
            self.bare = not closely
            error = self.plain.error
            if error and not self.plain.steps() and _LAUNCHED.search(error["message"]):
                self.runner.launched = True
                self.plain = self.runner.run("plain", options=options, limit=90)
        return self.plain

    def short_run(self) -> Result | None:
        """The same with data sets made shorter, so that last batches and last accumulation windows are not full."""
        if self.short is None and not self.short_tried:
            self.short_tried = True
            loaders = self.plain_run().events("loader")
            sizes = [(e["length"], e["batch_size"]) for e in loaders if e["length"] and e["batch_size"]]
            if sizes:
                self.shrink = _best_shrink(sizes, usual_size(self.plain_run()))
                options = {"stop_after": MANY_STEPS, "shrink": self.shrink}
                result = self.runner.run("short", options=options)
                self.short = None if result.error else result
        return self.short

    def options(self) -> list[knobs.Knob]:
        """The options of the program."""
        return knobs.find_knobs(self.plain_run(), self.request.get("configs", {}), self.runner.args)

    # -- the checks -----

    def check_one_batch(self) -> Iterator[Check]:
        """A few steps on one process."""
        result = self.plain_run()
        if result.error and not result.steps():
            error = result.error
            yield broken(
                "one_batch", "the run ended with {}: {}".format(error["type"], error["message"][:300]), error_fix(error)
            )
            self.emit({"log_tail": result.tail()})
            return
        if not result.events("bwd") and not result.steps():
            yield failed(
                "one_batch",
                "no training step",
                "a training step",
                f"the run {judge_step.how_it_ended(result)} without a backward pass; name the entry point and the "
                "arguments of a small training run in [tool.dlcoder.smoke]",
            )
            self.emit({"log_tail": result.tail()})
            return
        yield from judge_step.judge_one_batch(result)
        if result.error:
            error = result.error
            yield failed(
                "one_batch.ends",
                f"{error['type']} after {len(result.steps())} steps",
                "the run goes on",
                error["message"][:300] + error_fix(error),
            )
            self.emit({"log_tail": result.tail()})

    def check_scheduler(self) -> Iterator[Check]:
        """Learning rates over the whole run."""
        yield judge_loop.judge_scheduler(self.plain_run())

    def check_accumulation(self) -> Iterator[Check]:
        """Full and shorter accumulation windows."""
        size = usual_size(self.plain_run())
        if size < 2:
            yield judge_loop.judge_accumulation(self.plain_run(), None, None)
            return
        short, options = self.short_run(), {"same_batch": True, "no_dropout": True, "undo": True, "project": True}
        request: dict[str, Any] = {"options": {**options, "stop_after": MANY_STEPS // 2, "shrink": self.shrink}}
        same, wider = self.runner.run("same", **request), None
        knob = knobs.window_knob(self.options(), size)
        if knob is not None:
            request["options"]["stop_after"] = 1
            wider = self.runner.run(**_merged({"name": "wider", **request}, knob.set(2 * size)))
        yield judge_loop.judge_accumulation(self.plain_run(), short, same, wider)

    def check_ema(self) -> Iterator[Check]:
        """Averaged weights."""
        yield judge_loop.judge_ema(self.plain_run())

    def check_validation(self) -> Iterator[Check]:
        """Evaluation between the epochs."""
        yield judge_loop.judge_validation(self.plain_run(), self.short_run())
        yield from judge_best.judge_best(self.plain_run())
        yield from judge_loop.judge_workers(self.plain_run())

    def check_memory(self) -> Iterator[Check]:
        """Live tensors and graphs."""
        yield judge_loop.judge_memory(self.plain_run())

    def check_syncs(self) -> Iterator[Check]:
        """Host syncs."""
        allowed = self.settings.get("syncs_per_step")
        yield judge_loop.judge_syncs(self.plain_run(), float(allowed) if isinstance(allowed, (int, float)) else None)

    def check_logs(self) -> Iterator[Check]:
        """The JSON-lines log."""
        fields = self.settings.get("log_fields")
        if fields is None and (self.runner.source / ".dlcoder").is_dir():
            fields = OWN_LOG_FIELDS
        yield judge_loop.judge_logs(self.plain_run(), [str(f) for f in fields] if isinstance(fields, list) else None)

    def check_nan_guard(self) -> Iterator[Check]:
        """A NaN from the model in the third forward pass."""
        result = self.runner.run("nan", options={"nan_at": 3, "stop_after": 8})
        yield judge_repeat.judge_nan(result, bool(self.request.get("declared")))

    def check_overfit(self) -> Iterator[Check]:
        """One batch again and again, longer than the usual run where an option allows it."""
        options: dict[str, Any] = {"same_batch": True, "no_dropout": True, "hold_lr": True, "below": judge_repeat.FALL}
        longer = knobs.length_knobs(self.options())
        # A configuration file can be given one change; an epoch then lasts as long as is needed.
        options["stretch"] = not longer or (len(longer) == 2 and bool(longer[0].file))
        change: dict[str, Any] = {"name": "overfit", "options": {**options, "stop_after": OVERFIT_STEPS}}
        for knob in longer[:1] if options["stretch"] else longer:
            change = _merged({"extra": [], **change}, knob.set(OVERFIT_STEPS))
        limit = min(40.0, max(self.runner.remaining() / 2, 5.0))
        result = self.runner.run(**change, limit=limit)
        if result.error and not result.steps():
            change = {"name": "overfit", "options": {**options, "stop_after": OVERFIT_STEPS}}
            result = self.runner.run(**change, limit=limit)
        verdict = judge_repeat.judge_overfit(result)
        if verdict["status"] == "fail":
            change["options"]["lr_factor"] = FASTER
            faster = judge_repeat.judge_overfit(self.runner.run(**change, limit=limit))
            verdict = judge_repeat.merge_faster(verdict, faster, FASTER)
        yield verdict

    def check_reproducible(self) -> Iterator[Check]:
        """Two runs from different ambient random states, and one with another seed."""
        options = {"scatter": True, "stop_after": MANY_STEPS // 2}
        seed = knobs.seed_knob(self.options())
        # A seed that is not set by default is set: without one, no two runs need be equal.
        given = seed.set(0) if seed is not None and seed.value is None else {}
        request = _merged({"name": "seed", "options": options, "extra": []}, given)
        first, second = (run for _, run in self.runner.run_many([request] * 2))
        verdict = judge_repeat.judge_reproducible(first, second, seed is not None)
        yield verdict
        yield from judge_loop.judge_order(first)
        if verdict["status"] == "pass" and seed is not None:
            value = seed.value + 1 if isinstance(seed.value, int) else 1
            request = _merged({"name": "seed2", "options": {**options, "stop_after": FEW_STEPS}}, seed.set(value))
            other = self.runner.run(**request)
            yield judge_repeat.judge_seeds(first, other, seed.name)

    def check_resume(self) -> Iterator[Check]:
        """A run that is killed after a checkpoint, and resumed there; and how checkpoints are written."""
        yield from self._resumed()
        whole = self.plain_run()
        if not judge_repeat.saves(whole):
            return
        yield judge_saves.judge_kept(whole)
        stop, torn = {"stop_after": MANY_STEPS}, judge_saves.overwriting_save(whole)
        if torn:
            killed = self.runner.run("torn", options={"tear_save": torn, **stop})
            yield judge_saves.judge_interrupted(killed, bool(self.request.get("declared")))
        if _SIGTERM.search(judge_step.sources(whole)):
            yield judge_saves.judge_sigterm(self.runner.run("sigterm", options={"term_at": 2, **stop}), whole)

    def _resumed(self) -> Iterator[Check]:
        whole = self.plain_run()
        kept = judge_repeat.saves(whole)
        usable = [s for s in kept if s["step"] < len(whole.steps()) - 1]
        if not usable:
            where = f"only after step {kept[0]['step']} of {len(whole.steps())}" if kept else "none"
            yield skipped("resume", f"no checkpoint is written before the end of the run ({where})")
            return
        chosen = next((s for s in usable if s["middle"]), usable[0])
        stop = {"stop_after": MANY_STEPS}
        killed = self.runner.run("killed", options={"kill_after": 1, "kill_save": kept.index(chosen) + 1, **stop})
        why = judge_repeat.judge_kill(killed)
        if why:
            yield skipped("resume", why)
            return
        path = next((s["path"] for s in reversed(judge_repeat.saves(killed)) if s["path"]), "")
        change, how = self._resume_change(killed, path)
        resumed = self.runner.run("resumed", options=stop, root=killed.root, **change)
        if not how and not resumed.events("load"):
            yield skipped(
                "resume", 'how to resume is not known: declare resume = ["--resume", ...] in [tool.dlcoder.smoke]'
            )
            return
        verdict = judge_repeat.judge_resume(whole, killed, resumed, chosen["step"], how or "the same command again")
        if verdict["status"] == "fail":
            self.emit({"log_tail": resumed.tail()})
        yield verdict

    def _resume_change(self, killed: Result, path: str) -> tuple[dict[str, Any], str]:
        """Arguments or files of the resumed run, and how they are to be described."""
        declared = self.request.get("resume")
        if declared is not None:
            words = [str(w).replace("{checkpoint}", path) for w in declared]
            return {"args": words}, " ".join(words)
        knob = knobs.resume_knob(self.options())
        if knob is None:
            return {}, ""
        # Where a checkpoint is a folder of files, that is what a run is resumed from.
        folder = Path(path).parent
        value = knobs.resume_value(knob, str(folder) if _FOLDER.match(folder.name) else path)
        change = knob.set(value)
        return change, " ".join(change.get("extra", [])).replace(str(killed.root) + "/", "") or f"{knob.name}: {value}"

    def check_knobs(self) -> Iterator[Check]:
        """Every option changed, one at a time."""
        found = self.options()
        if not found:
            yield skipped(
                "knobs", "no option was found: no argparse, configuration file, data class or constants of the script"
            )
            return
        tried: list[knobs.Knob] = []
        untried: list[str] = []
        for knob in found:
            reason = knobs.why_not(knob) or ("too many options" if len(tried) >= MOST_KNOBS else "")
            if reason:
                untried.append(f"{knob.name} ({reason})")
            else:
                tried.append(knob)
        without = self._without_effect(tried)
        if without is None:
            yield skipped("knobs", "two runs with the same options differ, so no option can be told to have an effect")
            return
        if self.runner.remaining() < KNOB_RESERVE_S:
            yield skipped("knobs", "the time limit of the call was reached before all options had been tried")
            return
        read = {k.name: knobs.is_read(k, self.plain_run()) for k in without}
        without = [k for k in without if not knobs.is_rare(k, self.plain_run())]
        silent = [k.name for k in without if read[k.name] is False or knobs.shapes_training(k)]
        inert = [k.name for k in without if k.name not in silent]
        yield from _knob_verdict(silent, inert, len(tried), untried)

    def _without_effect(self, tried: list[knobs.Knob]) -> list[knobs.Knob] | None:
        """The options of which another value does not show: those whose runs go on like the usual one to the end.

        `None` if the usual run itself is another one each time.
        """
        options: dict[str, Any] = {"stop_after": MANY_STEPS}
        base = self.plain_run() if self.bare else self.runner.run("base", options=options)
        expected = self.runner.base / "expected"
        likeness.write_expected(base, expected)
        options["unlike"] = str(expected)
        events, prints = likeness.signature(base)

        def alike(values: list[tuple[knobs.Knob | None, Any]]) -> set[knobs.Knob | None]:
            changes = [knob.set(value) if knob is not None else {} for knob, value in values]
            found = set()
            for position, run in self.runner.run_many(
                [_merged({"name": "knob", "options": options}, c) for c in changes]
            ):
                knob = values[position][0]
                # What shapes training must be seen there: it may be printed without being used.
                told = None if knob is None or knobs.shapes_training(knob) else prints
                if likeness.is_alike(run, events, told):
                    found.add(knob)
            return found

        without = alike([(None, None), *((knob, knob.other()) for knob in tried)])
        if None not in without and self.runner.remaining() > 0:
            return None
        # A bound may bite and a buffer overflow only where they are far smaller.
        extreme = {knob: knob.extreme() for knob in tried if knob in without and knob.extreme() is not None}
        still = alike(list(extreme.items()))
        return [knob for knob in tried if knob in without and (knob in still or knob not in extreme)]

    def check_torchrun(self) -> Iterator[Check]:
        """The ranks forked from this warm process first, then the launcher itself."""
        why = self._not_distributed()
        if why:
            yield skipped("torchrun", why)
            return
        result = self.rank_run()
        checks = list(judge_ranks.judge_ranks(result))
        yield from checks
        if any(c["status"] not in ("pass", "skip") for c in checks):
            self.emit({"log_tail": result.tail()})
            yield skipped("torchrun", "the ranks failed already without the launcher")
            return
        launched = self.runner.run(
            "torchrun", world=self.nproc, launcher=True, options={"stop_after": FEW_STEPS}, limit=120
        )
        verdict = judge_ranks.merge_launcher(launched)
        if verdict["status"] != "pass":
            self.emit({"log_tail": launched.tail()})
        yield verdict

    def rank_run(self) -> Result:
        """A run on `nproc` ranks to its end."""
        if self.ranked is None:
            self.ranked = self.runner.run("ranks", world=self.nproc, options={"stop_after": MANY_STEPS}, limit=90)
        return self.ranked

    def check_world_size(self) -> Iterator[Check]:
        """Each rank's own gradients against the synchronized ones."""
        why = self._not_distributed()
        if why:
            yield skipped("world_size", why)
            return
        options: dict[str, Any] = {"stop_after": 2, "project": True, "local": True, "no_dropout": True}
        verdict = judge_ranks.judge_world_size(self.runner.run("world", world=self.nproc, options=options))
        if verdict["status"] == "pass":
            kept = str(self.runner.base / "first-batch.pt")
            options = {**options, "same_batch": True, "hold_path": kept, "local": False, "stop_after": 1}
            one = self.runner.run("one", options=options)
            several = self.runner.run("several", world=self.nproc, options=options)
            verdict = judge_ranks.judge_same_batch(one, several) or verdict
        yield verdict

    def check_uneven(self) -> Iterator[Check]:
        """Data sets one sample, and one batch and a sample, shorter."""
        why = self._not_distributed()
        if why:
            yield skipped("uneven", why)
            return
        plain = self.rank_run()
        if not plain.events("loader") and not plain.error:
            yield judge_ranks.judge_uneven(plain, None)
            return
        for shrink in _uneven_shrinks(plain, self.nproc):
            options = {"stop_after": MANY_STEPS, "shrink": shrink}
            verdict = judge_ranks.judge_uneven(self.runner.run("uneven", world=self.nproc, options=options), plain)
            if verdict["status"] != "pass":
                break
        yield verdict

    def check_crash(self) -> Iterator[Check]:
        """An exception in the second step of the last rank."""
        why = self._not_distributed()
        if why:
            yield skipped("crash", why)
            return
        rank = self.nproc - 1
        options = {"stop_after": MANY_STEPS, "crash_at": 2, "crash_rank": rank}
        yield judge_ranks.judge_crash(self.runner.run("crash", world=self.nproc, options=options, limit=45), rank)

    def _not_distributed(self) -> str:
        if self.nproc < 2:
            return "nproc is below 2"
        lightning = False
        for path in sorted(self.runner.source.rglob("*.py")):
            own = not any(part in (".venv", "venv", "site-packages") for part in path.parts)
            if own and _DISTRIBUTED.search(path.read_text("utf-8", "replace")):
                return ""
            lightning = lightning or (own and "LightningModule" in path.read_text("utf-8", "replace"))
        if lightning:
            return "Lightning starts its ranks by itself: run it with devices=2 to see"
        return "the project is written for one process: no file of it uses torch.distributed"


def _merged(request: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """A run's request with the change that an option needs."""
    merged = dict(request)
    for key, value in change.items():
        old = merged.get(key)
        merged[key] = {**old, **value} if isinstance(old, dict) else [*old, *value] if isinstance(old, list) else value
    return merged


def _best_shrink(sizes: list[tuple[int, int]], window: int) -> int:
    """By how many samples to shorten data sets so that last batches and the last window of training are not full."""
    length, batch = sizes[0]
    for shrink in range(1, 3 * batch + 2):
        batches = -(-(length - shrink) // batch)
        odd = all((n - shrink) % b for n, b in sizes if b > 1)
        if odd and (window < 2 or batches % window):
            return shrink
    return 1


def _uneven_shrinks(plain: Result, world: int) -> list[int]:
    """By how many samples to shorten data sets: by one, and so that one rank has a sample, hence a step, more."""
    shrinks = [1]
    for loader in plain.events("loader")[:1]:
        if loader["length"] and loader["batch_size"]:
            round_length = world * loader["batch_size"] * max(usual_size(plain), 1)
            shrinks += [(n - 1) % round_length or round_length for n in (loader["length"], loader["length"] * world)]
    return list(dict.fromkeys(shrinks))


def _knob_verdict(silent: list[str], inert: list[str], tried: int, untried: list[str]) -> Iterator[Check]:
    name, bound = "knobs", "every option changes something that can be observed"
    note = f"without effect in this run: {listed(inert, 8)}" if inert else ""
    if untried:
        note += f"{'; ' if note else ''}not tried: {listed(untried, 8)}"
    if silent:
        fix = f"use {listed(silent, 8)}, or remove {'it' if len(silent) == 1 else 'them'}"
        yield failed(name, f"{len(silent)} of {tried} options change nothing", bound, fix, note)
    elif tried:
        yield passed(name, f"{tried - len(inert)} of {tried} options have an effect", bound, note)
    else:
        yield skipped(name, note)


def error_fix(error: dict[str, Any]) -> str:
    """What to do about an error of the user's program."""
    place = " ({})".format(error["site"]) if error["site"] else ""
    kind, message = error["type"], error["message"]
    if kind == "ModuleNotFoundError":
        return (
            "install the missing module into the interpreter of the project, or pass its interpreter as `python`"
            + place
        )
    if kind in ("URLError", "ConnectionError", "gaierror") or "resolve" in message or "download" in message.lower():
        return "the sandbox has no network: give the smoke run data that is at hand ([tool.dlcoder.smoke] args)" + place
    if kind == "FileNotFoundError":
        return "give the smoke run data that lies in the project ([tool.dlcoder.smoke] args)" + place
    return "fix the error" + place
