"""The tool `describe_environment`: what a run finds on this machine, and what is wrong with it."""

from pathlib import Path
from typing import Any, Self

from pydantic import ConfigDict, Field

from dlcoder.environment.model import Environment, Problem
from dlcoder.tools.base import Call, Tool, ToolInput, ToolOutput

# Characters for problems in full; the others are named in one line, and all are in the structured answer.
_ROOM = 1200
_DESCRIPTION = """\
Find what is wrong with this machine and its Python before blaming the code: one call replaces nvidia-smi, \
torch.utils.collect_env, pip check, ulimit and df.
Looks at GPUs (memory and its holders, ECC, links), whether driver, CUDA, cuDNN, NCCL and torch fit, libraries that \
break each other, /dev/shm, ulimits, CPUs and memory left by the cgroup, the data's file system, Slurm or Kubernetes. \
Imports torch in the sandbox.
Call it when CUDA is unavailable, an import fails, a run is killed, hangs or starves.
`report` is a few lines for a bug report, or for diagnose_log's environment."""


class DescribeEnvironmentInput(ToolInput):
    """What to describe."""

    python: str | None = Field(
        default=None,
        description="An interpreter or an environment's directory. Default: the project's .venv, VIRTUAL_ENV, "
        "CONDA_PREFIX, then dlcoder's own.",
    )


_PUBLISHED = ("problems", "gpus", "driver", "torch", "libraries", "limits", "scheduler", "evidence", "report")


def _brief(schema: dict[str, Any]) -> None:
    fields = schema["properties"]
    schema["properties"] = {
        name: fields[name] if name == "problems" else {"type": fields[name]["type"]} for name in _PUBLISHED
    }
    schema["required"] = [name for name in schema["required"] if name in _PUBLISHED]


class DescribeEnvironmentOutput(ToolOutput):
    """Everything that was found.

    Only the main fields are published, and without what is inside: their names speak, and a client pays for a schema
    in every session. `dlcoder.environment.model` has them in full.
    """

    model_config = ConfigDict(json_schema_extra=_brief)

    problems: list[Problem] = Field(default_factory=list)
    system: str
    container: str = ""
    python: str
    gpus: list[dict[str, Any]] = Field(default_factory=list)
    topology: list[str] = Field(default_factory=list)
    driver: dict[str, Any]
    torch: dict[str, Any]
    libraries: dict[str, str] = Field(default_factory=dict)
    limits: dict[str, Any]
    scheduler: dict[str, Any] = Field(default_factory=dict)
    variables: dict[str, str] = Field(default_factory=dict)
    sandbox: list[str] = Field(default_factory=list)
    evidence: list[dict[str, Any]] = Field(default_factory=list)
    report: str

    @classmethod
    def of(cls, environment: Environment) -> Self:
        """Lay out a description without what says nothing."""
        return cls.model_validate(environment.model_dump(mode="json", exclude_defaults=True))

    def text(self) -> str:
        """The problems, then the report."""
        grave = sum(problem.severity != "note" for problem in self.problems)
        notes = len(self.problems) - grave
        verdict = f"{grave or 'No'} problem{'' if grave == 1 else 's'}" + (f", {notes} note(s)" if notes else "") + "."
        lines, room = [verdict], _ROOM
        for shown, problem in enumerate(self.problems):
            line = f"- [{problem.severity}] {problem.problem} {problem.consequence} Fix: {problem.fix}"
            room -= len(line)
            if shown and room < 0:
                lines.append(f"Also (in `problems`): {_names(self.problems[shown:])}.")
                break
            lines.append(line)
        return "\n".join([*lines, "", self.report])


def _names(problems: list[Problem]) -> str:
    names = list(dict.fromkeys(problem.id for problem in problems))
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


async def _run(arguments: DescribeEnvironmentInput, call: Call) -> DescribeEnvironmentOutput:
    from dlcoder.environment.describe import describe

    project = call.roots.allowed[0] if call.roots.allowed else Path.cwd()
    found = await describe(arguments.python, project, call.progress)
    return DescribeEnvironmentOutput.of(found)


TOOL = Tool(
    name="describe_environment",
    title="Describe the environment",
    description=_DESCRIPTION,
    input=DescribeEnvironmentInput,
    output=DescribeEnvironmentOutput,
    run=_run,
)
