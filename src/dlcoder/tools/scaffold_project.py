"""The tool `scaffold_project`: a training project, proved before it is handed over."""

from typing import Literal

from pydantic import Field

from dlcoder.scaffold.project import Scaffolded
from dlcoder.scaffold.spec import ProjectSpec
from dlcoder.tools.base import Call, Tool, ToolInput, ToolOutput

_PATCH = 8000


class ScaffoldInput(ToolInput):
    """The arguments of `scaffold_project`."""

    path: str = Field(
        description="A path that does not exist, or a project that dlcoder made, to be updated: edits are merged."
    )
    spec: ProjectSpec = Field(description='{"task": "classification"} is enough.')
    dry_run: bool = Field(default=False, description="Only list what would be written.")
    validate_: Literal["none", "smoke", "full"] = Field(
        default="smoke",
        alias="validate",
        description="What must pass before anything appears. smoke: one batch, a 2-process torchrun. "
        "full: every check (minutes).",
    )


class ScaffoldOutput(Scaffolded, ToolOutput):
    """The project and the proof."""

    def text(self) -> str:
        """The verdict, the tree, what was assumed, what to do next."""
        lines = [self._verdict(), *self._changes(), *([self.memory] if self.memory else []), "", self.tree]
        if self.assumptions:
            lines += ["", "Assumed (change it in spec):"]
            lines += [f"- {a.field} = {a.value}: {a.reason}" for a in self.assumptions]
        lines += ["", "Next:", *(f"- {step}" for step in self.next_steps)]
        return "\n".join(lines)

    def _changes(self) -> list[str]:
        """What an update does, the files to look at first; and the patch, where it is only planned."""
        by_hand = [change for change in self.changes if change.details]
        lines = [f"! {change.path}: {change.kind}: {'; '.join(change.details)}" for change in by_hand]
        for kind in ("added", "updated", "merged", "removed"):
            names = [change.path for change in self.changes if change.kind == kind]
            lines += [f"{kind}: {', '.join(names)}"] if names else []
        return [*lines, *([self.diff[:_PATCH]] if self.diff else [])]

    def links(self) -> list[str]:
        """What the run of the project printed and reported."""
        return self.validation.links()

    def _verdict(self) -> str:
        size = f"{len(self.files)} files, {sum(file.bytes for file in self.files) / 1000:.0f} kB"
        report = self.validation
        if not report.passed:
            reason = next((check.detail for check in report.checks if check.status == "skip"), "not run")
            return f"{self.path}: {size}. NOT PROVED: {reason}."
        done = [check for check in report.checks if check.status == "pass"]
        skipped = [check.name for check in report.checks if check.status == "skip"]
        names = ", ".join(
            f"{c.name} ({c.measured})" if c.measured and len(c.measured) < 40 else c.name for c in done[:8]
        )
        more = f" and {len(done) - 8} more" if len(done) > 8 else ""
        tail = f" Skipped: {', '.join(skipped)}." if skipped else ""
        layers = ", ".join(report.isolation.layers) or "no isolation"
        where = f"{report.device}, {report.interpreter}; {layers}"
        return (
            f"{self.path}: {size}. Proved in {report.duration_s:.1f} s ({where}): "
            f"{len(done)} checks passed: {names}{more}.{tail}"
        )


async def run(arguments: ScaffoldInput, call: Call) -> ScaffoldOutput:
    """Make the project."""
    from dlcoder.scaffold.project import scaffold_project

    scaffolded = await scaffold_project(
        call.roots.resolve(arguments.path),
        arguments.spec,
        dry_run=arguments.dry_run,
        validate=arguments.validate_,
        progress=call.progress,
    )
    return ScaffoldOutput.model_validate(scaffolded.model_dump())


TOOL = Tool(
    name="scaffold_project",
    title="Scaffold a proved PyTorch training project",
    description=(
        "Writes a complete, readable PyTorch training project and proves it before handing it over: the project is run "
        "in a sandbox (one batch forward/backward, a 2-process torchrun) and appears only if that passes. "
        "Call it whenever training code is started from nothing, instead of writing it by hand. Only spec.task is "
        "required; every default is listed in `assumptions` with its reason."
    ),
    input=ScaffoldInput,
    output=ScaffoldOutput,
    run=run,
    writes=True,
    destructive=False,
    idempotent=False,
)
