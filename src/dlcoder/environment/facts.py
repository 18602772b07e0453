"""Everything that the rules look at, gathered before the first of them runs."""

from dataclasses import dataclass, field

from dlcoder.environment.interpreter import Answer
from dlcoder.environment.model import Limits, Problem, Scheduler, Torch
from dlcoder.environment.nvidia import Nvidia
from dlcoder.environment.packages import Installed
from dlcoder.environment.support import Message
from dlcoder.sandbox.layers import Layer


@dataclass
class Facts:
    """What is known about the machine and the interpreter.

    Attributes:
        python: The interpreter's version.
        torch: torch in it.
        answer: What the interpreter said about itself.
        installed: Its distributions.
        nvidia: The GPUs.
        limits: What this process may use.
        scheduler: Who started this process.
        variables: Settings that change how training runs.
        container: What kind of container this is.
        interfaces: Names of the network interfaces.
        infiniband: Whether there is an InfiniBand or RoCE adapter.
        compiler: The C compiler, empty where there is none.
        toolkit: The version of the CUDA toolkit whose nvcc is on the PATH.
        layers: The sandbox's layers, with those that this machine lacks.
        shadowing: Libraries of CUDA that LD_LIBRARY_PATH puts before those that torch brings along.
    """

    python: str
    torch: Torch
    answer: Answer
    installed: list[Installed]
    nvidia: Nvidia
    limits: Limits
    scheduler: Scheduler = field(default_factory=Scheduler)
    variables: dict[str, str] = field(default_factory=dict)
    container: str = ""
    interfaces: list[str] = field(default_factory=list)
    infiniband: bool = False
    compiler: str = ""
    toolkit: str = ""
    layers: tuple[Layer, ...] = ()
    shadowing: list[str] = field(default_factory=list)

    def version(self, name: str) -> str:
        """The version of an installed distribution; empty where it is not installed."""
        return next((entry.version for entry in self.installed if entry.name == name), "")


def sentence(text: str) -> str:
    """Begin with a capital, unless a name comes first."""
    return text if text.startswith("torch") else text[:1].upper() + text[1:]


def from_message(message: Message, source: str, detail: str = "") -> Problem:
    """A problem that some tool's message already is."""
    said = f" ({detail})" if detail else ""
    return Problem(
        id=message.id,
        severity="blocks",
        problem=sentence(message.problem).rstrip(".") + said + ".",
        consequence=sentence(message.consequence),
        fix=message.fix,
        cause=message.cause,
        source=source,
    )
