"""What a caller says of an experiment; what is left out becomes a stated assumption."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# Told in one line of the tool's description: a client pays for the schema of each in every session.
BRIEF = (
    "Also: direction, sd or pilot (baseline results, or a folder of runs), correlation, gpu_hours, deadline_hours, "
    "gpus, step_seconds, steps, seeds, tune {setting: [low, high]}, trials, interactions [[a, b]], constraints, paper "
    "{setting: value}, settings (the project's), tolerance."
)
_SPELLED_OUT = ("question", "task", "data", "metric", "factors", "baseline", "effect", "path")


def _open(schema: dict[str, Any]) -> None:
    schema["properties"] = {name: schema["properties"][name] for name in _SPELLED_OUT}
    schema["additionalProperties"] = True


class Goal(BaseModel):
    """An experiment. `question`, `task`, `data`, `metric` and `factors` make a plan; the rest has defaults.

    `paper` (its settings by the project's names, its result under the metric's) makes a plan to reproduce it, with or
    without factors.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra=_open)

    question: str
    task: str | None = Field(default=None)
    data: str | None = Field(default=None)
    metric: str | None = Field(default=None, description="As logged.")
    direction: Literal["max", "min"] | None = None
    baseline: str | None = Field(
        default=None,
        description="Folder of a dlcoder project, or a command with {overrides} (NAME=VALUE), {flags} (--NAME VALUE) "
        "or {config} (JSON), {seed}, {run_dir}.",
    )
    factors: dict[str, list[Any]] = Field(default_factory=dict, description="Setting -> levels, the baseline's first.")
    interactions: list[list[str]] = Field(default_factory=list)
    tune: dict[str, list[float]] = Field(default_factory=dict)
    trials: int = Field(default=20, ge=1)
    effect: float | None = Field(default=None, gt=0, description="Of interest.")
    sd: float | None = Field(default=None, gt=0)
    pilot: list[float] | str = Field(default_factory=list)
    correlation: float | None = Field(default=None, ge=0, lt=1)
    gpu_hours: float | None = Field(default=None, gt=0)
    deadline_hours: float | None = Field(default=None, gt=0)
    step_seconds: float | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, gt=0)
    gpus: int = Field(default=1, ge=0)
    seeds: int | None = Field(default=None, ge=1)
    constraints: list[str] = Field(default_factory=list)
    paper: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    tolerance: float | None = Field(default=None, gt=0)
    path: str | None = Field(default=None, description="New folder.")
