"""The tool `summarize_runs`: from logs to a table that can be believed."""

import asyncio
import threading
from typing import Any, Literal

from pydantic import ConfigDict, Field, PrivateAttr

from dlcoder.errors import UserError
from dlcoder.tools.base import Call, Tool, ToolInput, ToolOutput


class SummarizeInput(ToolInput):
    """The arguments of `summarize_runs`."""

    paths: list[str] = Field(
        description="Folders of runs, or logs: JSONL, CSV, TensorBoard, W&B, Lightning, HF.",
        min_length=1,
    )
    baseline: str | None = Field(default=None, description="The control's name.")
    metric: str | None = Field(default=None, description="As logged; add :min or :max, @best for best instead of last.")
    format: Literal["markdown", "latex", "csv"] = Field(default="markdown", description="Of the tables.")


_PUBLISHED = ("verdict", "table", "arms", "warnings")


def _brief(schema: dict[str, Any]) -> None:
    """Publish the main fields only: a client pays for each in every session."""
    schema["properties"] = {name: schema["properties"][name] for name in _PUBLISHED}
    schema["required"] = [name for name in schema["required"] if name in _PUBLISHED]


class SummarizeOutput(ToolOutput):
    """The tables, and every reason to doubt them."""

    model_config = ConfigDict(json_schema_extra=_brief)

    metric: str
    baseline: str
    verdict: str
    table: str
    ablation: str = ""
    contrasts: str = ""
    stability: str = ""
    arms: list[dict[str, Any]] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    _image: bytes | None = PrivateAttr(default=None)
    _links: list[str] = PrivateAttr(default_factory=list)

    def text(self) -> str:
        """The verdict, the tables, the doubts."""
        parts = [self.verdict, self.table, self.ablation and f"What each arm changes:\n{self.ablation}"]
        parts += [self.contrasts and f"Do changes add up (x: 0 if so), what does each add to all:\n{self.contrasts}"]
        parts += [self.stability and f"Under new seeds (bootstrap):\n{self.stability}"]
        shown = [f"- {warning}" for warning in self.warnings[:12]]
        more = [f"- and {len(self.warnings) - 12} more"] if len(self.warnings) > 12 else []
        parts += ["Doubts:\n" + "\n".join([*shown, *more])] if shown else []
        return "\n\n".join(part for part in parts if part)

    def images(self) -> list[bytes]:
        """The plot, where matplotlib is installed."""
        return [] if self._image is None else [self._image]

    def links(self) -> list[str]:
        """The page and the charts, where somebody can follow a link."""
        return self._links


async def run(arguments: SummarizeInput, call: Call) -> SummarizeOutput:
    """Read, compare, draw; in a thread, so that the caller can turn away."""
    paths = [call.roots.resolve(path) for path in arguments.paths]
    cancelled = threading.Event()

    def progress(message: str, fraction: float) -> None:
        if cancelled.is_set():
            raise UserError("Cancelled.", "Call again.")
        call.progress(message, fraction)

    def work() -> SummarizeOutput:
        from dlcoder.experiments.report import make_report
        from dlcoder.sandbox.artifacts import keep_files

        report = make_report(paths, arguments.baseline, arguments.metric, arguments.format, progress)
        answer = SummarizeOutput.model_validate(report.fields)
        answer._image = report.picture
        answer._links = keep_files({"report.html": report.page, "charts.svg": report.drawing})
        return answer

    try:
        return await asyncio.to_thread(work)
    except asyncio.CancelledError:
        cancelled.set()
        raise


TOOL = Tool(
    name="summarize_runs",
    title="Compare finished runs",
    description=(
        "Turns logs of runs into a table (mean, intervals, paired difference to the control, Holm-corrected p, "
        "effect size, cost), charts and a page. Names runs that crashed, diverged or differ where they should not. "
        "Call it before you claim that something helped."
    ),
    input=SummarizeInput,
    output=SummarizeOutput,
    run=run,
)
