"""The tool `render_template`: one component as a file that stands alone, proved before it is handed over."""

from typing import TYPE_CHECKING, Any

from pydantic import Field

from dlcoder.sandbox.report import Check, Report
from dlcoder.tools.base import Call, Tool, ToolInput, ToolOutput

if TYPE_CHECKING:
    from dlcoder.scaffold.component import Rendered

_DESCRIPTION = """\
Get a PyTorch component as one self-contained file: a loss, model, dataset, metric or part of a train loop that is \
right at the edges (ignored labels, half precision, empty batches) and has just passed its checks in the sandbox here.
`params` binds parameters (switches are decided and their other branches dropped, numbers become defaults); `name` \
renames the class. Returns code, usage, requirements and the record of the checks. list_templates shows what there \
is."""


class RenderTemplateInput(ToolInput):
    """What to render."""

    template: str = Field(description='Its id, such as "losses/dice".')
    params: dict[str, Any] = Field(default_factory=dict, description="Parameters to bind, by name.")
    name: str | None = Field(None, description="Another name for the class or function.")
    validate_: bool = Field(True, alias="validate", description="Run its checks in the sandbox.")


class RenderTemplateOutput(ToolOutput):
    """The component."""

    code: str
    filename: str
    requires: list[str]
    usage: str
    params: dict[str, Any]
    validation: Report | None = None

    def text(self) -> str:
        """The code, how to use it, and what was proved."""
        parts = [f"{self.filename}:", "```python", self.code.rstrip(), "```", "Usage:", self.usage]
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

    from dlcoder.scaffold.component import find_component, render_component

    call.progress("rendering", 0.0)
    component = find_component(arguments.template)
    rendered = await asyncio.to_thread(render_component, component, arguments.params, arguments.name)
    return RenderTemplateOutput(
        code=rendered.code,
        filename=rendered.filename,
        requires=rendered.component.requires,
        usage=rendered.usage,
        params=rendered.params,
        validation=await _prove(rendered, call) if arguments.validate_ else None,
    )


async def _prove(rendered: "Rendered", call: Call) -> Report:
    from dlcoder.sandbox.validate import validate_code

    proof = rendered.proof()
    if proof is not None:
        kind, contract = proof
        return await validate_code(rendered.code, None, kind, contract, None, None, "auto", call.progress)
    loads = await validate_code(rendered.code, None, "metric", {}, ["loads"], None, "auto", call.progress)
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
)
