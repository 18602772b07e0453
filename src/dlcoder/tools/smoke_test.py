"""The tool `smoke_test`: run a whole training project and prove that it trains."""

from typing import Literal

from pydantic import Field

from dlcoder.sandbox.report import Report
from dlcoder.tools.base import Call, Tool, ToolInput, ToolOutput

Name = Literal[
    "one_batch",
    "overfit",
    "torchrun",
    "world_size",
    "uneven",
    "crash",
    "resume",
    "reproducible",
    "knobs",
    "memory",
    "syncs",
    "scheduler",
    "accumulation",
    "ema",
    "validation",
    "logs",
    "nan_guard",
    "all",
]


class SmokeInput(ToolInput):
    """The arguments of `smoke_test`."""

    path: str = Field(description="The project's directory. It is copied; nothing in it is written.")
    checks: list[Name] = Field(
        default=["one_batch", "torchrun"],
        description="`one_batch`: gradients, update, clipping, losses wired in. `torchrun`: ranks agree on other data. "
        "`resume`: killed, resumed bit for bit. `knobs`: options without effect. ...",
        min_length=1,
    )
    nproc: int = Field(default=2, ge=1, le=16, description="Ranks of the distributed checks.")
    python: str | None = Field(
        default=None,
        description="The interpreter; default: the project's .venv, the active environment, dlcoder's own.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="`auto`: CUDA where torch sees one.")
    timeout_s: float = Field(default=300, gt=0, le=3600, description="Wall time for all checks together.")
    executor: Literal["local", "slurm"] = Field(default="local", description="Where the ranks run.")


class SmokeOutput(Report, ToolOutput):
    """The record of the run."""

    def text(self) -> str:
        """The verdict, then failures with advice, then one line each for what passed and what was skipped."""
        from dlcoder.sandbox.summary import summarize

        return summarize(self, "The project")


async def run(arguments: SmokeInput, call: Call) -> SmokeOutput:
    """Run the checks in the sandbox."""
    from dlcoder.sandbox.smoke import smoke_test

    report = await smoke_test(
        path=call.roots.resolve(arguments.path),
        checks=list(arguments.checks),
        nproc=arguments.nproc,
        python=arguments.python,
        device=arguments.device,
        timeout_s=arguments.timeout_s,
        executor=arguments.executor,
        progress=call.progress,
    )
    return SmokeOutput.model_validate(report.model_dump())


TOOL = Tool(
    name="smoke_test",
    title="Run a training project and prove it",
    description=(
        "Runs any PyTorch training project, generated here or not, in a sandbox and judges what its training loop "
        "really does, on one process and under torchrun. Call it after writing or changing training code, before a "
        "long run, and when training silently goes wrong. The entry point is found by convention or from "
        "[tool.dlcoder.smoke] in pyproject.toml. Returns each check with its measured value, its bound and, for a "
        "failure, the line to change."
    ),
    input=SmokeInput,
    output=SmokeOutput,
    run=run,
)
