"""Which runs are repetitions of one another, and which arm is the control."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dlcoder.errors import UserError
from dlcoder.experiments.runs import Run

# What names a run and does not change what it does.
_IDENTITY = re.compile(
    r"(^|[._])(seed|name|id|dir|path|folder|output|log(ging)?_?dir|run_?name|exp(eriment)?_?name|tags?|notes?|"
    r"time(stamp)?|date|group|project|entity|host(name)?|device|resume(_from.*)?|_wandb|wandb_version)([._]|$)|_dir$|_path$",
    re.IGNORECASE,
)
_CONTROL_NAME = re.compile(r"^(baseline|control|base|default|reference|vanilla|full)\b", re.IGNORECASE)
_SEED = re.compile(r"(?:^|(?<=[-_/ ]))seed[-_=]?\d+(?:$|[-_/ ])", re.IGNORECASE)
_REPEAT = re.compile(r"(?:[-_/ ](?:s|run|rep|trial|version)?|run|rep|trial|version)[-_=]?\d+$", re.IGNORECASE)


@dataclass
class Arm:
    """Runs that differ in nothing but their seeds.

    Attributes:
        name: What sets it apart.
        runs: All of them, failed ones included.
        changes: Settings that differ from the control.
        declared: Whether a plan or a table named it.
    """

    name: str
    runs: list[Run] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)
    declared: bool = False

    @property
    def config(self) -> dict[str, Any]:
        """The settings of its first run that has any, without what only names a run."""
        config = next((run.config for run in self.runs if run.config), {})
        return {key: value for key, value in config.items() if not _IDENTITY.search(key)}


def group(runs: Sequence[Run]) -> list[Arm]:
    """Put runs into arms: as their plan says, else by their settings, else by their names."""
    varying = _varying(runs)
    arms: dict[str, Arm] = {}
    for run in runs:
        if run.arm is not None:
            name = run.arm
        elif run.config:
            name = ", ".join(f"{_short(key, varying)}={_shown(run.config.get(key))}" for key in varying) or "all runs"
        else:
            name = _without_seed(run.name) or "all runs"
        arm = arms.setdefault(name, Arm(name, declared=run.arm is not None))
        arm.runs.append(run)
    return list(arms.values())


def _without_seed(name: str) -> str:
    """The name of a run without what tells it from its repetitions, wherever that stands."""
    bare = re.sub(r"\.[A-Za-z]\w*$", "", name)
    pattern = _SEED if _SEED.search(bare) else _REPEAT
    return pattern.sub("", bare).strip("/-_ ")


def _varying(runs: Sequence[Run]) -> list[str]:
    configs = [run.config for run in runs if run.config and run.arm is None]
    keys = dict.fromkeys(key for config in configs for key in config if not _IDENTITY.search(key))
    return [key for key in keys if len({_canonical(config.get(key)) for config in configs}) > 1]


def _short(key: str, others: Sequence[str]) -> str:
    last = key.rpartition(".")[2]
    return last if sum(other.rpartition(".")[2] == last for other in others) == 1 else key


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)[:40]


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def choose_control(arms: list[Arm], baseline: str | None) -> tuple[Arm, str]:
    """The control and, where it had to be guessed, the reason.

    Raises:
        UserError: `baseline` names no arm.
    """
    if baseline is not None:
        return _named(arms, baseline), ""
    planned = [arm for arm in arms if any(run.control for run in arm.runs)]
    if planned:
        return planned[0], ""
    named = [arm for arm in arms if _CONTROL_NAME.search(arm.name.rpartition("/")[2])]
    if len(named) == 1:
        return named[0], f"No baseline was named: {named[0].name!r} was taken for its name."
    near = min(arms, key=lambda arm: (sum(len(_differences(arm, other)) for other in arms), -len(arm.runs)))
    if len(arms) == 1:
        return near, ""
    return near, f"No baseline was named: {near.name!r} was taken, which differs least from the others. Name it."


def _named(arms: list[Arm], baseline: str) -> Arm:
    exact = [arm for arm in arms if arm.name == baseline]
    found = exact or [
        arm
        for arm in arms
        if baseline.lower() in arm.name.lower().split("/")
        or any(run.name == baseline or run.name.startswith(baseline.rstrip("/") + "/") for run in arm.runs)
    ]
    found = found or [arm for arm in arms if baseline.lower() in arm.name.lower()]
    if len(found) == 1:
        return found[0]
    names = ", ".join(repr(arm.name) for arm in (found or arms)[:12])
    which = "several arms" if found else "no arm"
    raise UserError(f"baseline {baseline[:80]!r} fits {which}.", f"Name one of {names}.")


def set_changes(arms: Sequence[Arm], control: Arm) -> None:
    """Note, for every arm, what it changes of the control."""
    for arm in arms:
        planned = next((run.changes for run in arm.runs if run.changes is not None), None)
        arm.changes = _differences(arm, control) if planned is None else planned


def _differences(arm: Arm, control: Arm) -> dict[str, Any]:
    mine, theirs = arm.config, control.config
    if not mine or not theirs:
        return {}
    keys = dict.fromkeys((*mine, *theirs))
    return {key: mine.get(key) for key in keys if _canonical(mine.get(key)) != _canonical(theirs.get(key))}


def inner_differences(arm: Arm) -> list[str]:
    """Settings, and facts such as the commit, in which runs of one arm differ though they should not."""
    found = []
    for attribute in ("config", "facts"):
        records = [record for run in arm.runs if (record := getattr(run, attribute))]
        for key in dict.fromkeys(key for record in records for key in record if not _IDENTITY.search(key)):
            values = Counter(_canonical(record.get(key)) for record in records if record.get(key) not in (None, ""))
            if len(values) > 1:
                found.append(f"{key} ({' / '.join(value[:24] for value, _ in values.most_common(3))})")
    return found
