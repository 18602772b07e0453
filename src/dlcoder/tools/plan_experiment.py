"""The tool `plan_experiment`: a plan that can answer its question."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field, PrivateAttr

from dlcoder.experiments.goal import BRIEF, Goal
from dlcoder.tools.base import Call, Tool, ToolInput, ToolOutput

if TYPE_CHECKING:
    from dlcoder.experiments.baseline import Baseline
    from dlcoder.experiments.planning import Measured


class PlanInput(ToolInput):
    """The arguments of `plan_experiment`."""

    goal: Goal = Field(description=BRIEF)


_PUBLISHED = ("question", "control", "parameters", "ablation", "seeds", "budget", "stopping_rule", "test", "commands")


def _brief(schema: dict[str, Any]) -> None:
    """Publish the main fields only, without what is inside: their names speak, and a client pays for each."""
    fields = schema["properties"]
    schema["properties"] = {name: {"type": fields[name]["type"]} for name in _PUBLISHED}
    schema["required"] = list(_PUBLISHED)


class PlanOutput(ToolOutput):
    """The plan."""

    model_config = ConfigDict(json_schema_extra=_brief)

    question: str
    hypothesis: str
    control: dict[str, str]
    parameters: list[dict[str, str]]
    ablation: list[dict[str, str]]
    seeds: dict[str, Any]
    budget: dict[str, Any]
    order: str
    stopping_rule: str
    test: str
    record_fields: list[str]
    risks: list[str]
    checklist: list[dict[str, str]] = Field(default_factory=list)
    assumptions: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    files: list[str] = Field(default_factory=list)
    commands: list[str]
    _markdown: str = PrivateAttr(default="")

    def text(self) -> str:
        """The plan, then how to run it."""
        return f"{self._markdown}\n\n## Run\n" + "\n".join(f"- `{command}`" for command in self.commands)


async def run(arguments: PlanInput, call: Call) -> PlanOutput:
    """Work the plan out, and write it where a path is given."""
    from dlcoder.experiments import plan_text, planfiles, planning

    goal = arguments.goal
    folder = call.roots.resolve(goal.path) if goal.path else None
    baseline = _baseline(goal, call)
    planning.make_plan(goal.model_copy(update={"pilot": []}), baseline)  # refuses before anything costs time
    goal = await _with_pilot(goal, call)
    plan = planning.make_plan(goal, baseline, await _measured(goal, baseline, call))
    files = planfiles.write_plan(plan, folder) if folder else []
    answer = PlanOutput(**plan_text.parts(plan), files=files, commands=_commands(goal, folder, bool(plan.trials)))
    answer._markdown = plan_text.markdown(plan)
    return answer


def _baseline(goal: Goal, call: Call) -> "Baseline":
    from dlcoder.experiments.baseline import baseline_of

    cwd = call.roots.allowed[0] if call.roots.allowed else Path.cwd()
    project = None
    if goal.baseline and not any(character in goal.baseline for character in " {"):
        named = call.roots.resolve(goal.baseline)
        project = named if named.is_dir() else None
    elif goal.baseline is None and (cwd / "train.py").is_file() and any((cwd / "configs").glob("default.*")):
        project = cwd
    return baseline_of(goal.baseline, project, cwd)


async def _with_pilot(goal: Goal, call: Call) -> Goal:
    """The goal with the results of the pilot runs in place of their folder."""
    import asyncio

    from dlcoder.experiments.pilot import read_pilot

    if not isinstance(goal.pilot, str):
        return goal
    pilot = await asyncio.to_thread(read_pilot, call.roots.resolve(goal.pilot), goal.metric)
    known = {"correlation": pilot.correlation} if goal.correlation is None and pilot.correlation is not None else {}
    return goal.model_copy(update={"pilot": pilot.values, **known})


async def _measured(goal: Goal, baseline: "Baseline", call: Call) -> "Measured | None":
    from dlcoder.experiments.measure import measure_step

    if baseline.project is None or goal.step_seconds is not None:
        return None
    return await measure_step(baseline, call.progress)


def _commands(goal: Goal, folder: Path | None, tunes: bool) -> list[str]:
    import shlex

    if folder is None:
        return ["Call plan_experiment again with path, to get configs and launch files."]
    place = shlex.quote(str(folder))
    search = [f"dlcoder plan search {place}"] if tunes else []
    results = f"dlcoder results {place}/runs --metric {shlex.quote(goal.metric or '')}"
    return [*search, f"dlcoder plan run {place}", results]


TOOL = Tool(
    name="plan_experiment",
    title="Plan an experiment",
    description=(
        "Plans an ablation that can answer its question: control, arms, seeds by power, the least effect the budget "
        "can show, test, cost (a dlcoder project's step is measured); with `path` also files, which `dlcoder plan run` "
        "executes, resumable."
    ),
    input=PlanInput,
    output=PlanOutput,
    run=run,
    writes=True,
    idempotent=False,
)
