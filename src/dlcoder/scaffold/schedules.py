"""What the learning rate does after its warm-up."""

from dataclasses import dataclass

from dlcoder.scaffold.task import Setting
from dlcoder.templates.bindings import Binding, Fixed


@dataclass(frozen=True)
class Schedule:
    """A form of the schedule.

    Attributes:
        words: What the learning rate does: "then it <words>".
        settings: Its settings below `train`, which are arguments of the component.
        has_rest: Whether it ends at a part of the peak.
    """

    words: str
    settings: tuple[Setting, ...] = ()
    has_rest: bool = False


_COOLDOWN = Setting("cooldown", 0.2, "In which the rate falls: the last part of the steps after the warm-up.")
_MILESTONES = Setting(
    "milestones",
    (0.6, 0.9),
    "Where the rate drops, as parts of the steps after the warm-up.",
    type="tuple[float, ...]",
)
_FACTOR = Setting("milestone_factor", 0.1, "What the rate is multiplied by at a milestone.")

SCHEDULES = {
    "cosine": Schedule("falls by half a cosine", has_rest=True),
    "constant": Schedule("stays"),
    "linear": Schedule("falls in a line", has_rest=True),
    "inverse_sqrt": Schedule("falls as 1 / sqrt(n)"),
    "wsd": Schedule("stays, then falls", (_COOLDOWN,), has_rest=True),
    "step": Schedule("drops at milestones", (_MILESTONES, _FACTOR)),
}
"""By the word of the spec."""


def bindings(form: str) -> dict[str, Binding]:
    """What is known about the component's options: those of other forms are nowhere."""
    chosen = SCHEDULES[form]
    own = {setting.name for setting in chosen.settings}
    others = {s.name for schedule in SCHEDULES.values() for s in schedule.settings} - own
    gone: dict[str, Binding] = {name: Fixed("None") for name in others}
    return {"form": Fixed(f'"{form}"'), **gone, **({} if chosen.has_rest else {"rest": Fixed("None")})}
