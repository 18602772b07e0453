"""Judges how checkpoints are written: `resume.kept`, `resume.interrupted`, `resume.sigterm`."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

from .judge_repeat import saves
from .judge_step import how_it_ended, sources
from .runs import Result
from .verdict import Check, failed, passed, skipped

_ATOMIC = re.compile(r"\bos\.(replace|rename)\(|\.(replace|rename)\(\s*\w*(path|file|final|target|checkpoint|ckpt)")


def judge_kept(whole: Result) -> Check:
    """The newest checkpoint outlives the run: old ones are deleted, not it."""
    name, bound = "resume.kept", "the newest checkpoint is there when the run ends"
    named = [s for s in saves(whole) if s["path"]]
    if not named:
        return skipped(name, "no checkpoint was saved by path")
    newest = [s for s in named if s["step"] == named[-1]["step"]]
    if any(Path(s["path"]).exists() for s in newest):
        return passed(name, f"step {named[-1]['step']}, of {len(named)} saved", bound)
    fix = f"delete the oldest checkpoints, not {Path(named[-1]['path']).name}: sort by step, keep newest and best"
    return failed(name, f"the checkpoint of step {named[-1]['step']} is gone", bound, fix)


def overwriting_save(whole: Result) -> int:
    """Which save, counted from 1, replaces an earlier checkpoint; 0 if none does."""
    seen: set[str] = set()
    for number, save in enumerate(saves(whole), 1):
        if save["path"] in seen:
            return number
        seen.add(save["path"])
    return 0


def judge_interrupted(killed: Result, declared: bool) -> Check:
    """A kill in the middle of a save leaves a checkpoint that can be read."""
    name, bound = "resume.interrupted", "a kill during a save leaves the checkpoint before it whole"
    events: list[dict[str, Any]] = killed.events("torn")
    if not events:
        return skipped(name, f"the run {how_it_ended(killed)} before it could be killed in a save")
    if any(zipfile.is_zipfile(s["path"]) for s in saves(killed) if s["path"]):
        return passed(name, "the one before is whole", bound)
    site = events[0]["site"]
    fix = f"save to a temporary file beside it, then os.replace() it over the old one ({site})"
    measured = f"{Path(events[0]['path']).name} is torn, and no other is left"
    if declared or _ATOMIC.search(sources(killed)):
        return failed(name, measured, bound, fix)
    return skipped(name, f"{measured}: {fix}", measured)


def judge_sigterm(ended: Result, whole: Result) -> Check:
    """A program that takes SIGTERM saves and ends."""
    name, bound = "resume.sigterm", "after SIGTERM, a checkpoint is saved and the run ends"
    sent = ended.events("sigterm")
    if not sent:
        return skipped(name, "no handler of SIGTERM was set when training ran")
    position = ended.ranks[0].index(sent[0])
    after = ended.ranks[0][position:]
    if ended.error:
        return failed(name, how_it_ended(ended), bound, "let the handler set a flag that the loop reads after its step")
    steps = sum(e["e"] == "step" for e in after)
    to_the_end = steps > 3 and len(ended.steps()) >= len(whole.steps())
    if to_the_end or not any(e["e"] == "end" for e in after):
        return failed(name, f"goes on for {steps} steps", bound, "leave the training loop when the flag is set")
    if not any(e["e"] == "save" for e in after):
        return failed(name, "ends without saving", bound, "save a checkpoint before leaving the training loop")
    return passed(name, f"saved and ended after {steps} more steps", bound)
