"""The tool `render_template`: one component as a file that stands alone, proved before it is handed over."""

from typing import TYPE_CHECKING, Any

from pydantic import Field

from dlcoder.errors import UserError
from dlcoder.sandbox.report import Check, Report
from dlcoder.tools.base import Call, Tool, ToolInput, ToolOutput

if TYPE_CHECKING:
    from dlcoder.scaffold.component import Rendered

_DESCRIPTION = """\
Get a PyTorch component as one self-contained file: a loss, model, dataset, metric or part of a train loop that is \
right at the edges (ignored labels, half precision, empty batches) and has just passed its checks in the sandbox here.
`params` binds parameters (switches are decided, numbers become defaults). Returns code, usage, requirements and the \
record of the checks. list_templates shows what there is."""


class RenderTemplateInput(ToolInput):
    """What to render."""

    template: str = Field(description='Its id, such as "losses/dice".')
    params: dict[str, Any] = Field(default_factory=dict, description="Parameters to bind, by name.")
    name: str | None = Field(None, description="Another name for the class or function.")
    validate_: bool = Field(True, alias="validate", description="Run its checks in the sandbox.")
    path: str | None = Field(None, description="A project, to add it there in its style: file, export, test.")
    dry_run: bool = Field(True, description="With `path`: only show the patch.")


class RenderTemplateOutput(ToolOutput):
    """The component."""

    code: str
    filename: str
    requires: list[str]
    usage: str
    params: dict[str, Any]
    validation: Report | None = None
    diff: str | None = Field(default=None, description="What adding it to the project at `path` changes.")
    files: list[str] = Field(default_factory=list, description="What was written there.")
    notes: list[str] = Field(default_factory=list)

    def text(self) -> str:
        """The code, how to use it, and what was proved."""
        language = "python" if self.filename.endswith(".py") else "bash"
        parts = [f"{self.filename}:", f"```{language}", self.code.rstrip(), "```"]
        if self.files:
            parts = [f"Written: {', '.join(self.files)}."]
        elif self.diff is not None:
            parts = [self.diff, "Nothing was written: call again with dry_run=false."]
        parts += ["Usage:", self.usage, *self.notes]
        if self.requires:
            parts.append(f"Requires: {', '.join(self.requires)}.")
        parts.append(_verdict(self.validation))
        return "\n".join(parts)

    def links(self) -> list[str]:
        """What its checks printed and reported."""
        return self.validation.links() if self.validation else []


def _verdict(report: Report | None) -> str:
    if report is None:
        return "Not run: validation was switched off."
    by_status: dict[str, list[str]] = {}
    for check in report.checks:
        by_status.setdefault(check.status, []).append(check.name)
    counts = ", ".join(f"{len(names)} {status}" for status, names in by_status.items())
    lines = [f"{'Proved' if report.passed else 'NOT proved'} on {report.device}: {counts}."]
    bad = [check for check in report.checks if check.status in ("fail", "error")]
    lines += [f"- {check.name}: {check.measured} (must be: {check.expected}). {check.detail}" for check in bad]
    if more := report.read_on():
        lines.append(more)
    return "\n".join(lines)


async def _run(arguments: RenderTemplateInput, call: Call) -> RenderTemplateOutput:
    import asyncio

    from dlcoder.scaffold.catalogue_entry import render_entry
    from dlcoder.scaffold.component import find_component
    from dlcoder.scaffold.wire import wire, write

    call.progress("rendering", 0.0)
    component = find_component(arguments.template)
    rendered = await asyncio.to_thread(render_entry, component, arguments.params, arguments.name)
    wiring = wire(rendered, call.roots.resolve(arguments.path)) if arguments.path is not None else None
    report = await _prove(rendered, call) if arguments.validate_ else None
    if wiring and not arguments.dry_run and report is not None and not report.passed:
        raise UserError(f"It failed its checks here, and nothing was written. {_verdict(report)}", "Change `params`.")
    return RenderTemplateOutput(
        code=rendered.code,
        filename=rendered.filename,
        requires=rendered.component.requires,
        usage=rendered.usage_from(wiring.module) if wiring else rendered.usage,
        params=rendered.params,
        validation=report,
        diff=wiring.diff() if wiring and arguments.dry_run else None,
        files=write(wiring) if wiring and not arguments.dry_run else [],
        notes=wiring.notes if wiring else [],
    )


async def _prove(rendered: "Rendered", call: Call) -> Report:
    from dlcoder.sandbox.validate import validate_code

    if not rendered.component.is_module:
        from dlcoder.scaffold.entry_proof import prove

        return await prove(rendered, call.progress)
    proof = rendered.proof()
    if proof is not None:
        kind, contract = proof
        return await validate_code(rendered.proved, None, kind, contract, None, None, "auto", call.progress)
    loads = await validate_code(rendered.code, None, "metric", {}, ["loads"], None, "auto", call.progress)
    # How it is called only the loop around it knows.
    loads.checks = [check for check in loads.checks if check.name != "interface"]
    loads.passed = all(check.status == "pass" for check in loads.checks)
    reason = "it works only as a part of a train loop: scaffold_project writes its tests and runs it"
    loads.checks.append(Check(name="behavior", status="skip", detail=reason))
    return loads


TOOL = Tool(
    name="render_template",
    title="Render a component",
    description=_DESCRIPTION,
    input=RenderTemplateInput,
    output=RenderTemplateOutput,
    run=_run,
    writes=True,
    idempotent=False,
)
