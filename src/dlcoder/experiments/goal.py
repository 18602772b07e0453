"""What a caller says of an experiment; what is left out becomes a stated assumption."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# Told in one line of the tool's description: a client pays for the schema of each in every session.
_BRIEF = ["direction", "sd", "pilot", "correlation", "gpu_hours", "step_seconds", "steps", "gpus", "seeds", "paper"]
_BRIEF += ["project", "tune"]
BRIEF = (
    "Also: sd or pilot [baseline results], correlation, gpu_hours (budget), step_seconds, steps, gpus, seeds, "
    "direction, tune {setting: [low, high]}, paper and project {setting: value}."
)


def _open(schema: dict[str, Any]) -> None:
    for name in _BRIEF:
        del schema["properties"][name]
    schema["additionalProperties"] = True


class Goal(BaseModel):
    """An experiment. `question`, `task`, `data`, `metric` and `factors` make a plan; the rest has defaults."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_open)

    question: str
    task: str | None = Field(default=None)
    data: str | None = Field(default=None)
    metric: str | None = Field(default=None)
    direction: Literal["max", "min"] | None = None
    command: str | None = Field(
        default=None,
        description="With {overrides} (NAME=VALUE words) or {config}, {seed}, {run_dir}. Default: a dlcoder project.",
    )
    factors: dict[str, list[Any]] = Field(default_factory=dict, description="Setting -> levels, the baseline's first.")
    tune: dict[str, list[float]] = Field(default_factory=dict, description="Setting -> [low, high].")
    effect: float | None = Field(default=None, gt=0)
    sd: float | None = Field(default=None, gt=0, description="Between seeds.")
    pilot: list[float] = Field(default_factory=list, description="Baseline results.")
    correlation: float = Field(default=0.5, ge=0, lt=1)
    gpu_hours: float | None = Field(default=None, gt=0)
    step_seconds: float | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, gt=0)
    gpus: int = Field(default=1, ge=0)
    seeds: int | None = Field(default=None, ge=1)
    paper: dict[str, Any] = Field(default_factory=dict, description="Its settings.")
    project: dict[str, Any] = Field(default_factory=dict)
    path: str | None = Field(default=None, description="Folder to write.")
