"""Plans the runs that the asked-for checks need, cheap ones first, and hands out each result as it is known."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

from . import judge_ranks, judge_step
from .runs import Result, Runner
from .verdict import Check, broken, failed, skipped

Emit = Callable[[dict[str, Any]], None]
FEW_STEPS = 4
MANY_STEPS = 48
LOOP_CHECKS = ("scheduler", "accumulation", "ema", "validation", "memory", "syncs", "logs")
ORDER = (
    "one_batch",
    *LOOP_CHECKS,
    "nan_guard",
    "overfit",
    "reproducible",
    "resume",
    "knobs",
    "world_size",
    "uneven",
    "crash",
    "torchrun",
)
_DISTRIBUTED = re.compile(
    r"init_process_group|DistributedDataParallel|torch\.distributed|Accelerator\(|FullyShardedDataParallel|fully_shard"
)


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
        self.checks = [name for name in ORDER if name in request["checks"]]
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
        self.plain: Result | None = None
        self.ranked: Result | None = None
        self.done = 0

    def work(self) -> None:
        """Make every check, and stop where a fatal one leaves nothing to see."""
        _preload()
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
            whole = any(name in self.checks for name in LOOP_CHECKS)
            options = {
                "losses": True,
                "stop_after": MANY_STEPS if whole else FEW_STEPS,
                "memory": whole,
                "probe": whole,
            }
            self.plain = self.runner.run("plain", options=options, limit=90)
        return self.plain

    # -- the checks -------------------------------------------------------------------------------------------------

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
        options = {"stop_after": 2, "project": True, "local": True, "no_dropout": True}
        yield judge_ranks.judge_world_size(self.runner.run("world", world=self.nproc, options=options))

    def check_uneven(self) -> Iterator[Check]:
        """Data sets one sample, and one batch and a sample, shorter."""
        why = self._not_distributed()
        if why:
            yield skipped("uneven", why)
            return
        plain = self.rank_run()
        sizes = [e["batch_size"] for e in plain.events("loader") if e["batch_size"]]
        for shrink in (1, (sizes[0] if sizes else 1) + 1):
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
        for path in sorted(self.runner.source.rglob("*.py")):
            own = not any(part in (".venv", "venv", "site-packages") for part in path.parts)
            if own and _DISTRIBUTED.search(path.read_text("utf-8", "replace")):
                return ""
        return "the project is written for one process: no file of it uses torch.distributed"


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


def _preload() -> None:
    """Import what every run would import by itself, so that the children share it. Nothing is computed."""
    for module in (
        "torch",
        "torch._dynamo",
        "torch.distributed",
        "torch.nn.parallel",
        "torch.distributed.run",
        "numpy",
    ):
        try:
            importlib.import_module(module)
        except Exception:  # an interpreter without it runs without it
            continue
