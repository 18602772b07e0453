"""What an ablation tells beyond each arm against the control: whether changes add up, and what each adds to all."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlcoder.experiments.comparisons import compare_paired, holm
from dlcoder.experiments.intervals import Interval

Results = Mapping[object, float]
Changed = tuple[dict[str, Any], Results]
_LEAST_FOR_ALL = 3
"""With two changes, what one adds to both is what it adds to the other."""


@dataclass
class Contrast:
    """A difference between arms of which none need be the control.

    Attributes:
        name: `a=1 x b=2` for the difference of differences (both changes, minus each alone, plus the control: 0 where
            effects add up); `a=1 within all` for what all changes lose without that one.
        n: Seeds that all its arms share.
        effect: Its mean.
        interval: Of the mean, 95 %.
        p: Two-sided.
        p_holm: Corrected over all contrasts.
    """

    name: str
    n: int
    effect: float
    interval: Interval | None
    p: float | None
    p_holm: float | None = None


def contrasts(arms: Sequence[Changed], control: Results) -> list[Contrast]:
    """Every contrast that the arms allow to estimate.

    Args:
        arms: What each arm changes, and its results by seed.
        control: Those of the control.
    """
    plain = [({name: str(level) for name, level in changes.items()}, values) for changes, values in arms]
    found = [*_interactions(plain, control), *_within_all(plain)]
    tested = [each for each in found if each.p is not None]
    for each, p in zip(tested, holm([each.p for each in tested if each.p is not None]), strict=True):
        each.p_holm = p
    return found


def _interactions(arms: Sequence[Changed], control: Results) -> Iterator[Contrast]:
    alone = {next(iter(changes.items())): values for changes, values in arms if len(changes) == 1}
    for changes, both in arms:
        if len(changes) == 2 and all(item in alone for item in changes.items()):
            one, other = (alone[item] for item in changes.items())
            yield from _contrast(" x ".join(map("=".join, changes.items())), (both, control), (one, other))


def _within_all(arms: Sequence[Changed]) -> Iterator[Contrast]:
    every, values = max(arms, key=lambda arm: len(arm[0]), default=({}, {}))
    if len(every) < _LEAST_FOR_ALL:
        return
    for changes, without in arms:
        if len(changes) == len(every) - 1 and changes.items() <= every.items():
            (left,) = every.items() - changes.items()
            yield from _contrast(f"{'='.join(left)} within all", (values,), (without,))


def _contrast(name: str, plus: Sequence[Results], minus: Sequence[Results]) -> Iterator[Contrast]:
    """The contrast of sums of arms, by the seeds that all of them share."""
    seeds = [seed for seed in plus[0] if all(seed in arm for arm in (*plus, *minus))]
    if len(seeds) >= 2:
        above, below = ([math.fsum(arm[seed] for arm in side) for seed in seeds] for side in (plus, minus))
        result = compare_paired(above, below)
        yield Contrast(name, len(seeds), result.difference, result.interval, result.p)
