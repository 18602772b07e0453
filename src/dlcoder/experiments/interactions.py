"""Whether two changes together do what each does alone, added up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlcoder.experiments.comparisons import compare_paired, holm
from dlcoder.experiments.intervals import Interval


@dataclass
class Interaction:
    """The difference of differences: both changes, minus each alone, plus the control.

    Attributes:
        changes: The two settings and their levels.
        n: Seeds that all four arms share.
        effect: Its mean; 0 where the effects add up.
        interval: Of the mean, 95 %.
        p: Two-sided.
        p_holm: Corrected over all interactions.
    """

    changes: dict[str, Any]
    n: int
    effect: float
    interval: Interval | None
    p: float | None
    p_holm: float | None = None

    @property
    def name(self) -> str:
        """The two settings."""
        return " x ".join(f"{name}={level}" for name, level in self.changes.items())


Results = Mapping[object, float]


def interactions(arms: Sequence[tuple[dict[str, Any], Results]], control: Results) -> list[Interaction]:
    """Every interaction that the arms allow to estimate.

    Args:
        arms: What each arm changes, and its results by seed.
        control: Those of the control.
    """
    alone = {next(iter(changes.items())): values for changes, values in _hashable(arms) if len(changes) == 1}
    found = []
    for changes, both in _hashable(arms):
        singles = [alone.get(item) for item in changes.items()]
        if len(changes) == 2 and None not in singles:
            one, other = (single or {} for single in singles)
            found += _contrast(changes, both, one, other, control)
    corrected = holm([each.p for each in found if each.p is not None])
    for each, p in zip((each for each in found if each.p is not None), corrected, strict=True):
        each.p_holm = p
    return found


def _hashable(arms: Sequence[tuple[dict[str, Any], Results]]) -> list[tuple[dict[str, Any], Results]]:
    return [({name: str(level) for name, level in changes.items()}, values) for changes, values in arms]


def _contrast(
    changes: dict[str, Any], both: Results, one: Results, other: Results, control: Results
) -> list[Interaction]:
    seeds = [seed for seed in both if seed in one and seed in other and seed in control]
    if len(seeds) < 2:
        return []
    result = compare_paired([both[seed] - one[seed] for seed in seeds], [other[seed] - control[seed] for seed in seeds])
    return [Interaction(changes, len(seeds), result.difference, result.interval, result.p)]
