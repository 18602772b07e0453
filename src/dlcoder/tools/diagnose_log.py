"""The tool `diagnose_log`: from logs to ranked causes with the lines that speak for them."""

from typing import Literal

from pydantic import BaseModel, Field

from dlcoder.tools.base import Call, Tool, ToolInput, ToolOutput

_DESCRIPTION = """\
Find out why a training run failed, hung, diverged or is slow, from its logs: paste text, or name files and \
directories of any size (one file per rank, torchrun --log-dir, Slurm output, .gz, tens of gigabytes).
Returns causes ranked by calibrated probability, each with the decisive lines (file, line number, text), checks that \
decide, and fixes; which rank failed first and which errors are only its effects; what to paste if the text does not \
decide.
Call it before reading a long log yourself, for every distributed failure, NaN, out-of-memory, hang, kill, or a run \
that does not learn. Add what you know as `context` ("only on 2 GPUs", "after the first epoch")."""


class DiagnoseLogInput(ToolInput):
    """Give `log` or `paths`, or both."""

    log: str | None = Field(
        None, description="Log text as it was printed; prefixes, progress bars and repeats may stay."
    )
    paths: list[str] | None = Field(None, description="Log files, directories or patterns; give all ranks' logs.")
    context: str | None = Field(
        None, description="What is known besides, in any words: what was changed, when it happens, hardware."
    )
    code: str | None = Field(None, description="The part of the training code that runs there.")
    environment: str | None = Field(None, description="Versions and hardware: collect_env, nvidia-smi, pip list.")
    max_hypotheses: int = Field(5, ge=1, le=20, description="The most causes to return.")


class EvidenceItem(BaseModel):
    """A quoted line."""

    source: str
    line: int
    text: str


class VerifyStep(BaseModel):
    """A check: what to run, and what either outcome means."""

    action: str
    command: str = ""
    expect: str = ""
    cost: float = Field(0.0, description="Seconds of a person and a machine.")


class FixStep(BaseModel):
    """A remedy."""

    action: str
    patch: str = ""


class HypothesisItem(BaseModel):
    """One possible cause."""

    cause: str
    title: str
    probability: float
    evidence: list[EvidenceItem] = Field(default_factory=list)
    explanation: str = ""
    verify: list[VerifyStep] = Field(default_factory=list)
    fix: list[FixStep] = Field(default_factory=list)
    sources: list[str] = Field(default_factory=list)


class FirstFailureItem(BaseModel):
    """Where the failure began."""

    rank: int | None = None
    time: str = ""
    line: str = ""


class DiagnoseLogOutput(ToolOutput):
    """What is wrong with the run."""

    status: Literal["failed", "degraded", "healthy", "unknown"]
    summary: str
    hypotheses: list[HypothesisItem] = Field(default_factory=list)
    first_failure: FirstFailureItem | None = None
    progress: str = ""
    missing: list[str] = Field(default_factory=list)
    next_step: str = ""

    def text(self) -> str:
        """The verdict, the evidence, the alternatives, and what to do."""
        parts = [self.summary]
        if self.first_failure and (self.first_failure.rank is not None or self.first_failure.time):
            rank = f"rank {self.first_failure.rank}" if self.first_failure.rank is not None else ""
            parts.append("First failure: " + ", ".join(part for part in (rank, self.first_failure.time) if part) + ".")
        if self.hypotheses:
            parts += _in_full(self.hypotheses[0])
            parts += [_in_brief(h) for h in self.hypotheses[1:4] if h.probability >= 0.02]
        if self.missing:
            parts.append("To be surer, paste: " + "; ".join(self.missing) + ".")
        if self.next_step:
            parts.append(f"Next: {self.next_step}")
        return "\n".join(parts)


def _quoted(item: EvidenceItem) -> str:
    return f"  {item.source}:{item.line}: {item.text}" if item.line else f"  {item.source}: {item.text}"


def _in_full(best: HypothesisItem) -> list[str]:
    lines = [f"{best.probability:.0%} {best.cause}"] + [_quoted(item) for item in best.evidence[:4]]
    if best.explanation:
        lines.append(best.explanation)
    for check in best.verify[:2]:
        lines.append(
            f"Check: {check.action}"
            + (f": `{check.command}`" if check.command else "")
            + (f" ({check.expect})" if check.expect else "")
        )
    for remedy in best.fix[:2]:
        lines.append(f"Fix: {remedy.action}" + (f"\n{remedy.patch[:300]}" if remedy.patch else ""))
    return lines


def _in_brief(other: HypothesisItem) -> str:
    quote = f" <- {other.evidence[0].source}:{other.evidence[0].line}" if other.evidence else ""
    return f"{other.probability:.0%} {other.cause}: {other.title}{quote}"


async def _run(arguments: DiagnoseLogInput, call: Call) -> DiagnoseLogOutput:
    import asyncio

    from dlcoder.diagnosis.diagnose import diagnose

    paths = [call.roots.resolve(path) for path in arguments.paths or ()]
    found = await asyncio.to_thread(
        diagnose,
        arguments.log,
        paths,
        arguments.context,
        arguments.code,
        arguments.environment,
        arguments.max_hypotheses,
        call.progress,
    )
    full = 2
    return DiagnoseLogOutput(
        status=found.status,
        summary=found.summary,
        hypotheses=[
            HypothesisItem(
                cause=h.cause,
                title=h.title,
                probability=h.probability,
                evidence=[
                    EvidenceItem(source=e.source, line=e.line, text=_with_note(e.text, e.note, e.supports))
                    for e in h.evidence
                ],
                explanation=h.explanation if i < full else "",
                verify=[VerifyStep(action=v.action, command=v.command, expect=v.expect, cost=v.cost) for v in h.verify]
                if i < full
                else [],
                fix=[FixStep(action=f.action, patch=f.command) for f in h.fix] if i < full else [],
                sources=h.sources if i < full else [],
            )
            for i, h in enumerate(found.hypotheses)
        ],
        first_failure=FirstFailureItem(
            rank=found.first_failure.rank,
            time=found.first_failure.time,
            line=f"{found.first_failure.source}:{found.first_failure.number}: {found.first_failure.line}",
        )
        if found.first_failure
        else None,
        progress=found.progress,
        missing=found.missing,
        next_step=found.next_step,
    )


def _with_note(text: str, note: str, supports: bool) -> str:
    against = "" if supports else "against: "
    return f"{text}  [{against}{note}]" if note or against else text


TOOL = Tool(
    name="diagnose_log",
    title="Diagnose a failing training run",
    description=_DESCRIPTION,
    input=DiagnoseLogInput,
    output=DiagnoseLogOutput,
    run=_run,
)
