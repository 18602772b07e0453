"""The tool `plan_experiment`: a plan that can answer its question."""

from typing import Any

from pydantic import Field

from dlcoder.experiments.goal import BRIEF, Goal
from dlcoder.tools.base import Call, Tool, ToolInput, ToolOutput


class PlanInput(ToolInput):
    """The arguments of `plan_experiment`."""

    goal: Goal = Field(description=BRIEF)


class PlanOutput(ToolOutput):
    """The plan."""

    plan: str
    seeds: int
    power: float
    detectable_effect: float
    gpu_hours: float | None = None
    tables: dict[str, Any]
    assumptions: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    commands: list[str] = Field(default_factory=list)

    def text(self) -> str:
        """The plan, then how to run it."""
        return f"{self.plan}\n\n## Run\n" + "\n".join(f"- `{command}`" for command in self.commands)


async def run(arguments: PlanInput, call: Call) -> PlanOutput:
    """Work the plan out, and write it where a path is given."""
    import shlex

    from dlcoder.experiments import planfiles, planning

    goal = arguments.goal
    folder = call.roots.resolve(goal.path) if goal.path else None
    plan = planning.make_plan(goal)
    if folder:
        planfiles.write_plan(plan, folder)
    place = shlex.quote(str(folder)) if folder else "PLAN"
    commands = [f"dlcoder plan run {place}", f"dlcoder results {place}/runs --metric {shlex.quote(goal.metric or '')}"]
    commands = commands if folder else ["Call plan_experiment again with path, to get configs and launch files."]
    return PlanOutput(
        plan=planfiles.markdown(plan),
        seeds=plan.seeds,
        power=round(plan.reached, 4),
        detectable_effect=round(plan.detectable, 4),
        gpu_hours=plan.gpu_hours,
        assumptions=plan.assumptions,
        warnings=plan.warnings,
        commands=commands,
        tables=planfiles.tables_of(plan),
    )


TOOL = Tool(
    name="plan_experiment",
    title="Plan an experiment",
    description=(
        "Plans an ablation that can answer its question: control, arms, seeds by power, the least effect the budget "
        "can show, test, cost; with `path` also files, which `dlcoder plan run` executes, resumable."
    ),
    input=PlanInput,
    output=PlanOutput,
    run=run,
    writes=True,
    idempotent=False,
)
