"""What every tool is made of: a typed input, a typed output, hints for the client, and a handler."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from dlcoder.paths import Roots
from dlcoder.progress import Progress, silent


class ToolInput(BaseModel):
    """The arguments of a tool. Unknown names are refused; every field carries a description."""

    model_config = ConfigDict(extra="forbid")


class ToolOutput(BaseModel):
    """The answer of a tool: fields for a program, and `text` for a reader, each sufficient alone."""

    @abstractmethod
    def text(self) -> str:
        """The answer for a reader: the verdict first, then what to do, in as few tokens as carry it."""

    def images(self) -> list[bytes]:
        """Pictures that belong to the answer, as PNG files."""
        return []

    def links(self) -> list[str]:
        """Addresses of resources that say more than the answer, as `Report.artifacts` holds them."""
        return []


@dataclass(frozen=True)
class Call:
    """What the face that received a call lends to the handler.

    Attributes:
        roots: The part of the disk that the caller may name.
        progress: Where to say how far the work is.
    """

    roots: Roots = field(default_factory=Roots)
    progress: Progress = silent


Input = TypeVar("Input", bound=ToolInput)
Output = TypeVar("Output", bound=ToolOutput)


@dataclass(frozen=True)
class Tool(Generic[Input, Output]):
    """One operation, the same for the server and the command line.

    Attributes:
        name: The fixed name that clients depend on.
        title: A few words for a person.
        description: What it does, when to call it, what comes back; at most 2 KB, the key fact first.
        input: The model of its arguments.
        output: The model of its answer.
        run: The handler. It raises `UserError` for every anticipated failure, and is cancelled by cancelling the task:
            whatever it started must then end within a second.
        writes: Whether it may write to the caller's disk (left out under `--read-only`).
        destructive: Whether what it writes may replace something.
        idempotent: Whether a second equal call changes nothing more.
        open_world: Whether it reaches beyond this machine.
    """

    name: str
    title: str
    description: str
    input: type[Input]
    output: type[Output]
    run: Callable[[Input, Call], Awaitable[Output]]
    writes: bool = False
    destructive: bool = False
    idempotent: bool = True
    open_world: bool = False


AnyTool = Tool[Any, Any]
