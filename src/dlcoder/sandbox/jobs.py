"""What can be asked of the sandbox, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dlcoder.sandbox.jail import mounts

Frame = dict[str, Any]
WORK = mounts.WORK
"""The private work directory, inside the sandbox: the program's current directory when it starts."""

Status = Literal["exited", "timeout", "limit", "error"]


@dataclass(frozen=True)
class Limits:
    """What a run may use.

    Attributes:
        timeout_s: Wall time in seconds.
        memory_mb: Memory of the whole process tree in MiB, with shared memory and what its private file systems hold.
        processes: Processes and threads.
        disk_mb: Size of the writable work directory in MiB.
        output_bytes: What it may print, standard output and error together.
    """

    timeout_s: float = 60
    memory_mb: int = 4096
    processes: int = 256
    disk_mb: int = 1024
    output_bytes: int = 4 << 20


@dataclass(frozen=True)
class Job:
    """What to run, and behind which walls.

    Attributes:
        argv: The program and its arguments; a first word "python" becomes the interpreter. Unused with `harness`.
        workdir: A host directory that is copied into the private work directory (`WORK`, where the program starts)
            before the run; the original is never written. Its host path leads to the copy, too.
        read_only: Host directories that are visible read-only at their own path.
        env: Added to a clean environment.
        limits: What it may use.
        warm: Whether to fork from the warm worker of this interpreter (`argv` must start with "python").
        gpu: Whether the machine's GPUs are passed through.
        require: Layers without which the run is refused.
        allow_weaker: Whether to run although the layers that are required by default are missing.
        collect: Whether to bring back what is left in the work directory, as plain data.
        collect_to: The host directory that it is brought back to, replacing files of the same name there; by default a
            new one that ends with this process.
        harness: A JSON request: dlcoder's harness runs instead of `argv`; its frames come back in `Outcome.frames`.
        nproc: Ranks, started as torchrun would (RANK, WORLD_SIZE, MASTER_ADDR, ... set); frames carry "rank" then.
    """

    argv: tuple[str, ...] = ()
    workdir: Path | None = None
    read_only: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    warm: bool = False
    gpu: bool = False
    require: tuple[str, ...] = ()
    allow_weaker: bool = False
    collect: bool = True
    collect_to: Path | None = None
    harness: bytes | None = None
    nproc: int = 1


@dataclass(frozen=True)
class Usage:
    """What a run used: peaks, measured from outside."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    memory_mb: float = 0.0
    processes: int = 0
    disk_mb: float = 0.0
    output_bytes: int = 0


@dataclass(frozen=True)
class Outcome:
    """What came of a run, as seen from outside.

    Attributes:
        status: "exited" by itself, struck by "timeout" or another "limit", or "error": the run could not be judged.
        exit_code: The program's own (128 + n: ended by signal n), 124 for a time-out, 120 for another limit.
        limit: The limit that struck, for a reader: "killed: memory 4.0 GiB limit at 3.2 s"; empty if none did.
        struck: Its name: "timeout", "memory", "processes", "disk" or "output"; empty if none did.
        layers: The layers of isolation that were active, strongest first.
        usage: What it used.
        output: The end of what it printed, made safe to quote.
        output_path: All that it printed, as raw bytes.
        workdir: The files that it left in the work directory, copied as plain data; `None` if they were not asked for.
        frames: The harness's messages, in order.
        complete: Whether the harness itself ended the stream of frames and nothing else wrote into it.
            Frames of an incomplete run are no proof of anything.
        reason: What went wrong with the run itself, or with its stream of frames.
        duration_s: Wall time in seconds, start and clean-up included.
        left: Why files in the work directory were not brought back, with how many.
    """

    status: Status
    exit_code: int
    limit: str
    struck: str
    layers: tuple[str, ...]
    usage: Usage
    output: str
    output_path: Path
    workdir: Path | None
    frames: list[Frame]
    complete: bool
    reason: str
    duration_s: float
    left: Mapping[str, int] = field(default_factory=dict)
