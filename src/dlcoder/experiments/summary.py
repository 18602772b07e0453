"""From runs to what may be said of them: a table against the control, and every reason to doubt it."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dlcoder.errors import UserError
from dlcoder.experiments.arms import Arm, choose_control, group, inner_differences, set_changes
from dlcoder.experiments.comparisons import Comparison, compare, holm
from dlcoder.experiments.contrasts import Contrast, contrasts
from dlcoder.experiments.intervals import Interval, bootstrap_interval, deviation, mean, t_interval
from dlcoder.experiments.metrics import lower_is_better
from dlcoder.experiments.power import detectable_effect
from dlcoder.experiments.ranking import Rank, best_of, rank_stability
from dlcoder.experiments.reading import read_runs
from dlcoder.experiments.runs import Run
from dlcoder.progress import Progress, silent

_WANTED = (
    "accuracy",
    "top1",
    "acc",
    "map",
    "miou",
    "iou",
    "dice",
    "f1",
    "auc",
    "bleu",
    "psnr",
    "ssim",
    "reward",
    "score",
)
_HELD_OUT = re.compile(r"(^|[/_.])(val|valid|validation|test|eval|dev)([/_.]|$)", re.I)
_NOT_METRICS = re.compile(
    r"(^|[/_.])(lr|learning_rate|step|epoch|time\w*|grad_norm|runtime|\w+_per_second|total_flos|iter)($|[/_.])", re.I
)
_FEW = 5
_SHORT = 0.9


@dataclass
class ArmResult:
    """One row of the table."""

    arm: Arm
    values: dict[object, float]
    mean: float | None = None
    sd: float | None = None
    ci: Interval | None = None
    bootstrap: Interval | None = None
    comparison: Comparison | None = None
    p_holm: float | None = None
    rank: Rank | None = None
    best_of: dict[int, float] = field(default_factory=dict)
    hours: float | None = None
    memory_mb: float | None = None


@dataclass
class Summary:
    """What came out.

    Attributes:
        metric: The name of the metric.
        lower: Whether less is better.
        pick: Which value of a run counts.
        control: The name of the control.
        rows: The arms, the control first, the others by their mean.
        warnings: Every reason to doubt, gravest first.
        runs: How many were read.
        contrasts: Whether changes add up, and what each adds to all.
    """

    metric: str
    lower: bool
    pick: Literal["last", "best"]
    control: str
    rows: list[ArmResult]
    warnings: list[str]
    runs: int
    contrasts: list[Contrast] = field(default_factory=list)


def summarize(paths: Sequence[Path], baseline: str | None, metric: str | None, progress: Progress = silent) -> Summary:
    """Read runs and compare them.

    Args:
        paths: Folders or files of runs.
        baseline: The control: an arm's name, or a run of it. By default the plan's.
        metric: A logged name; `:min` or `:max` gives the direction, `@best` takes a run's best value, not its last.
        progress: Told while reading.

    Raises:
        UserError: There are no runs, the metric was not logged, or the baseline is none of the arms.
    """
    name, lower, pick = _parse(metric)
    # Losses are read in any case: they tell a diverged run.
    runs = read_runs(paths, lambda names: _to_read(names, name), progress)
    name = _match(runs, name)
    lower = lower_is_better(name) if lower is None else lower
    arms = group(runs)
    control, guess = choose_control(arms, baseline)
    set_changes(arms, control)
    warnings: list[str] = []
    rows = [_row(arm, name, pick, lower, warnings) for arm in arms]
    _compare(rows, control)
    _rank(rows, lower)
    first = next(row for row in rows if row.arm is control)
    others = [row for row in rows if row is not first]
    others.sort(key=lambda row: math.inf if row.mean is None else row.mean if lower else -row.mean)
    rows = [first, *others]
    warnings += _doubts(rows, first)
    summary = Summary(name, lower, pick, control.name, rows, [*warnings, *([guess] if guess else [])], len(runs))
    summary.contrasts = contrasts([(row.arm.changes, row.values) for row in others], first.values)
    return summary


def value_of(folder: Path, metric: str | None) -> float | None:
    """The last value of one run; None if it logged none."""
    try:
        runs = read_runs([folder], lambda names: _to_read(names, metric))
        return runs[0].value(_match(runs, metric), "last", lower=False)
    except UserError:
        return None


def _to_read(names: set[str], metric: str | None) -> set[str]:
    bare = (metric or "").removeprefix("eval/")
    named = {bare, f"metric_{bare}"} if bare else set()
    chosen = _choose(sorted(names)) if metric is None else None
    return named | {name for name in names if "loss" in name.lower() or (bare and bare in name) or name == chosen}


def _parse(metric: str | None) -> tuple[str | None, bool | None, Literal["last", "best"]]:
    if metric is None:
        return None, None, "last"
    name, at, pick = metric.partition("@")
    if at and pick.partition(":")[0] not in ("best", "last"):
        raise UserError(f"metric {metric[:60]!r}: after @ stands best or last.", "Write for example val_acc@best.")
    direction = re.search(r":(min|max)", metric)
    name = re.sub(r":(min|max)$", "", name)
    return name, None if direction is None else direction[1] == "min", "best" if pick.startswith("best") else "last"


def _choose(names: Sequence[str]) -> str | None:
    """The likeliest metric: held out before training, a score before a loss."""

    def place(name: str) -> tuple[bool, int, int]:
        score = next(
            (i for i, word in enumerate(_WANTED) if word in name.lower()), 100 if "loss" in name.lower() else 50
        )
        return (not _HELD_OUT.search(name), score, len(name))

    usable = [name for name in names if not _NOT_METRICS.search(name)]
    return min(usable, key=place) if usable else None


def _match(runs: Sequence[Run], name: str | None) -> str:
    counts = Counter(
        key for run in runs for key in (*run.series, *run.results) if not _NOT_METRICS.search(key) or key == name
    )
    if not counts:
        raise UserError("The runs logged no numbers.", "Give the folders that hold their logs.")
    if name is None:
        most = max(counts.values())
        chosen = _choose(sorted(key for key, count in counts.items() if count >= most / 2))
        assert chosen is not None
        return chosen
    for candidate in (f"eval/{name}", f"eval/metric_{name}", name, f"metric_{name}"):
        if candidate in counts:
            return candidate
    near = [key for key in counts if name.lower() in key.lower()]
    if len(near) == 1:
        return near[0]
    raise UserError(
        f"No run logged {name[:60]!r}." if not near else f"{name[:60]!r} fits several logged names.",
        f"Choose one of {', '.join(sorted(near or counts)[:20])}.",
    )


def _row(arm: Arm, metric: str, pick: Literal["last", "best"], lower: bool, warnings: list[str]) -> ArmResult:
    values: dict[object, float] = {}
    lost, twice = [], []
    for run in arm.runs:
        value = run.value(metric, pick, lower) if run.status == "finished" else None
        if value is None:
            why = run.why or f"it has no {metric}"
            lost.append(f"{run.name} {run.status if run.status != 'finished' else 'left out'} ({why})")
            continue
        key = run.seed if run.seed is not None else f"run {run.name}"
        if key in values:
            twice.append(str(key))
        values[key] = value
    if lost:
        share = f"{len(lost)} of {len(arm.runs)} runs of {arm.name} do not count: "
        warnings.append(share + "; ".join(lost[:3]) + (f" and {len(lost) - 3} more" if len(lost) > 3 else "") + ".")
    if twice:
        warnings.append(f"{arm.name}: seed {', '.join(sorted(set(twice))[:5])} ran more than once; the last counts.")
    resumed = [run.name for run in arm.runs if run.starts > 1]
    if resumed:
        warnings.append(
            f"{arm.name}: resumed: {', '.join(resumed[:4])}; right only if a resumed run equals a whole one."
        )
    result = ArmResult(arm, values)
    numbers = list(values.values())
    if numbers:
        result.mean, result.ci = mean(numbers), t_interval(numbers)
        result.sd = deviation(numbers) if len(numbers) > 1 else None
        result.bootstrap = bootstrap_interval(numbers)
        result.best_of = {k: best_of(numbers, k, lower_is_better=lower) for k in (3, 5) if k <= len(numbers)}
    hours = [run.hours * max(run.gpus or 1, 1) for run in arm.runs if run.hours is not None]
    result.hours = sum(hours) if hours else None
    result.memory_mb = max((run.memory_mb for run in arm.runs if run.memory_mb is not None), default=None)
    return result


def _compare(rows: list[ArmResult], control: Arm) -> None:
    reference = next(row for row in rows if row.arm is control).values
    others = [row for row in rows if row.arm is not control and row.values]
    if not reference:
        return
    for row in others:
        row.comparison = compare(row.values, reference)
    tested = [row for row in others if row.comparison and row.comparison.p is not None]
    corrected = holm([row.comparison.p for row in tested if row.comparison and row.comparison.p is not None])
    for row, p in zip(tested, corrected, strict=True):
        row.p_holm = p


def _rank(rows: list[ArmResult], lower: bool) -> None:
    usable = {str(index): row.values for index, row in enumerate(rows) if len(row.values) > 1}
    if 1 < len(usable) <= 50:
        for index, rank in rank_stability(usable, lower_is_better=lower).items():
            rows[int(index)].rank = rank


def _doubts(rows: list[ArmResult], control: ArmResult) -> list[str]:
    found = []
    single = [row.arm.name for row in rows if len(row.values) == 1]
    if single:
        shown = ", ".join(single[:5]) + (" ..." if len(single) > 5 else "")
        found.append(f"One run each, no finding: {shown}. A difference of single runs may be the seed alone.")
    few = [len(row.values) for row in rows if 2 <= len(row.values) < _FEW]
    if few:
        effect = detectable_effect(min(few), paired=True, correlation=0.5)
        found.append(
            f"With {min(few)} seeds only effects above {effect:.1f} standard deviations show (80 % power); "
            "no difference found is no proof of none."
        )
    if len(rows) > 1 and not control.values:
        found.append(f"The control {control.arm.name} has no usable run: nothing can be tested.")
    for row in rows:
        found += _doubts_within(row)
        if row is not control:
            found += _doubts_against(row, control)
    return found + _unequal(rows)


def _doubts_within(row: ArmResult) -> list[str]:
    found = []
    inner = inner_differences(row.arm)
    if inner:
        found.append(f"{row.arm.name}: its runs differ in {', '.join(inner[:4])}.")
    longest = max((run.steps for run in row.arm.runs), default=0)
    short = [run for run in row.arm.runs if run.status == "finished" and 0 < run.steps < _SHORT * longest]
    if short:
        shown = ", ".join(f"{run.name} at step {run.steps:g}" for run in short[:4])
        found.append(f"{row.arm.name}: {shown} ended before its others ({longest:g}): stopped early, or killed.")
    numbers = list(row.values.values())
    if len(numbers) > 1 and len(set(numbers)) == 1:
        found.append(f"{row.arm.name}: all {len(numbers)} runs gave the same value: copies, or a seed without effect.")
    return found


def _doubts_against(row: ArmResult, control: ArmResult) -> list[str]:
    found = []
    name, changes = row.arm.name, list(row.arm.changes)
    if len(changes) > 1 and not row.arm.declared:
        settings = ", ".join(changes[:4])
        found.append(f"{name} changes {len(changes)} settings at once ({settings}): the effect belongs to none alone.")
    if len(row.values) > 1 and row.values == control.values:
        found.append(f"{name} equals the control at every seed: what it changes may have no effect at all.")
    if row.comparison and set(row.values) != set(control.values):
        test, n = row.comparison.test, row.comparison.n
        found.append(f"{name} and the control ran with other seeds: compared by {test}, n = {n}.")
    return found


def _unequal(rows: list[ArmResult]) -> list[str]:
    found = []
    steps = {row.arm.name: max((run.steps for run in row.arm.runs), default=0) for row in rows}
    known = {name: count for name, count in steps.items() if count}
    if known and max(known.values()) > 1.02 * min(known.values()):
        low, high = min(known, key=lambda n: known[n]), max(known, key=lambda n: known[n])
        found.append(f"Budgets differ: {low} ran {known[low]:g} steps, {high} {known[high]:g}.")
    for fact in ("commit", "data", "torch", "GPUs"):
        values = {run.facts[fact] for row in rows for run in row.arm.runs if run.facts.get(fact)}
        if len(values) > 1:
            found.append(f"Runs differ in {fact}: {' / '.join(sorted(value[:20] for value in values)[:4])}.")
    return found
