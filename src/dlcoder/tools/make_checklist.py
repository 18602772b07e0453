"""The tool `make_checklist`: what to check for a symptom when there is no log."""

from pydantic import BaseModel, Field

from dlcoder.tools.base import Call, Tool, ToolInput, ToolOutput

_DESCRIPTION = """\
What to check for a training symptom without a log: causes with their probability, each with a command that decides \
and what either outcome means, ordered by probability over cost. With a log, call diagnose_log instead."""
_ROOM = 3000


class MakeChecklistInput(ToolInput):
    """A symptom, and what is known besides."""

    topic: str = Field(
        description="nan, hang, oom, slow, not_learning, eval, irreproducible, crash, killed, launch, environment, "
        "data, checkpoint or compile."
    )
    context: str | None = Field(
        None, description="What is known, in any words: framework, GPUs, precision, when it happens, what was tried."
    )


class ChecklistItem(BaseModel):
    """A check that decides about a cause."""

    cause: str
    check: str
    command: str
    expect: str
    cost: float = Field(description="Seconds of a person and a machine.")
    probability: float


class MakeChecklistOutput(ToolOutput):
    """The checks, in the order in which to do them."""

    items: list[ChecklistItem]
    topic: str = Field("", description="The topic that was understood.")

    def text(self) -> str:
        """The list, shortened at its end where it grows long: later checks are seldom reached."""
        lines = [f"Checks for {self.topic}, by probability over cost; stop at the first that fires."]
        for number, item in enumerate(self.items, 1):
            head = f"{number}. {item.cause} ({item.probability:.0%}, {item.cost:.0f} s): {item.check}"
            whole = f"{head}\n   {item.command.strip().replace(chr(10), chr(10) + '   ')}\n   -> {item.expect}"
            lines.append(whole if sum(map(len, lines)) + len(whole) < _ROOM else head)
        return "\n".join(lines)


async def _run(given: MakeChecklistInput, call: Call) -> MakeChecklistOutput:
    from dlcoder.diagnosis.checklist import make_checklist

    topic, items = make_checklist(given.topic, given.context)
    return MakeChecklistOutput(
        topic=topic.name,
        items=[
            ChecklistItem(
                cause=item.cause,
                check=item.check,
                command=item.command,
                expect=item.expect,
                cost=item.cost,
                probability=item.probability,
            )
            for item in items
        ],
    )


TOOL = Tool(
    name="make_checklist",
    title="What to check, without a log",
    description=_DESCRIPTION,
    input=MakeChecklistInput,
    output=MakeChecklistOutput,
    run=_run,
)
