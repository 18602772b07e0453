"""Small tools that behave well and badly, and a server that serves them: `python sample_tools.py [serve's options]`."""

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from dlcoder.errors import UserError
from dlcoder.tools import Listed
from dlcoder.tools.base import Call, Tool, ToolInput, ToolOutput


class Size(BaseModel):
    model_config = ConfigDict(extra="forbid")

    width: int = Field(ge=1, le=64, description="Width in columns.")
    depth: int = 1


class EchoInput(ToolInput):
    text: str = Field(max_length=1000, description="What to say.")
    count: int = Field(1, ge=1, le=5, description="How often.")
    mode: Literal["plain", "loud"] = Field("plain", description="How to say it.")
    tags: list[str] = Field(default_factory=list, description="Labels.")
    size: Size | None = Field(None, description="The room for it.")
    source: str | list[str] = Field("", description="Where it comes from.")

    @field_validator("text")
    @classmethod
    def _speak(cls, text: str) -> str:
        if text == "unspeakable":
            raise ValueError("that cannot be said")
        return text


class Note(BaseModel):
    tag: str
    weight: float = 1.0
    comment: str = ""


class Said(ToolOutput):
    said: str
    notes: list[Note] = Field(default_factory=list)
    missing: str | None = None

    def text(self) -> str:
        return f"{self.said} {' '.join(note.tag for note in self.notes)}".strip()


async def echo(asked: EchoInput, call: Call) -> Said:
    said = (asked.text.upper() if asked.mode == "loud" else asked.text) * asked.count
    return Said(said=said, notes=[Note(tag=tag) for tag in asked.tags])


class BadInput(ToolInput):
    how: Literal["user", "crash", "exit", "interrupt", "cancel", "stray", "text", "bytes"] = Field(
        description="How to fail."
    )


class Unspeakable(Said):
    def text(self) -> str:
        raise RuntimeError("secret detail")


async def misbehave(asked: BadInput, call: Call) -> Said:
    if asked.how == "user":
        raise UserError("The flux is 7, above 3.", "Call misbehave again with how='user'.")
    if asked.how == "crash":
        raise KeyError("secret detail")
    if asked.how == "exit":
        sys.exit(3)
    if asked.how == "interrupt":
        raise KeyboardInterrupt
    if asked.how == "cancel":
        raise asyncio.CancelledError
    if asked.how == "bytes":
        return Said(said="half \udc80", notes=[Note(tag="nan", weight=float("nan")), Note(tag="\udcff")])
    if asked.how == "text":
        return Unspeakable(said="")

    async def stray() -> None:
        sys.exit(4)

    task = asyncio.create_task(stray())
    await asyncio.sleep(0.05)
    return Said(said=f"survived, stray done: {task.done()}")


class WorkInput(ToolInput):
    seconds: float = Field(description="How long.")
    how: Literal["steps", "silent", "block", "tree", "leak"] = Field("steps", description="In what way.")
    note: str = Field("", description="File for the ids of the processes that it starts.")


async def work(asked: WorkInput, call: Call) -> Said:
    if asked.how == "block":
        time.sleep(asked.seconds)
    elif asked.how == "silent":
        await asyncio.sleep(asked.seconds)
    elif asked.how == "steps":
        for step in range(int(asked.seconds * 100)):
            call.progress(f"step\x1b[31m {step}", step / (asked.seconds * 100))
            await asyncio.sleep(0.01)
        call.progress("last step", 1.0)
    else:
        await _tree(asked)
    return Said(said="done")


async def _tree(asked: WorkInput) -> None:
    """A shell with a grandchild that leaves the process group, as nasty programs do."""
    script = f"setsid sleep {asked.seconds} & echo $! >> {asked.note}; sleep {asked.seconds}"
    process = await asyncio.create_subprocess_exec("sh", "-c", script, start_new_session=True)
    with Path(asked.note).open("a") as file:
        file.write(f"{process.pid}\n")
    try:
        await process.wait()
    finally:
        if asked.how == "tree":
            pids = [int(pid) for pid in Path(asked.note).read_text().split()]
            for pid in pids:
                os.kill(pid, 9)


class PathInput(ToolInput):
    path: str = Field(description="A path.")


async def where(asked: PathInput, call: Call) -> Said:
    return Said(said=str(call.roots.resolve(asked.path)))


ECHO = Tool("echo", "Say it", "Says a text back.", EchoInput, Said, echo)
MISBEHAVE = Tool("misbehave", "Fail", "Fails in a chosen way.", BadInput, Said, misbehave)
WORK = Tool("work", "Work", "Takes its time.", WorkInput, Said, work, idempotent=False)
WHERE = Tool("where", "Where", "Resolves a path.", PathInput, Said, where)
WRITE = Tool("write", "Write", "Would write.", PathInput, Said, where, writes=True, destructive=True, open_world=True)


@dataclass(frozen=True)
class Sample(Listed):
    """A listed tool that is here already."""

    tool: Any = None

    def load(self) -> Any:
        return self.tool


SAMPLES = tuple(
    Sample(tool.name, tool.name, f"needing to {tool.name}", tool) for tool in (ECHO, MISBEHAVE, WORK, WHERE, WRITE)
)

if __name__ == "__main__":
    from dlcoder.serving.command import serve

    sys.exit(serve(sys.argv[1:], SAMPLES))
