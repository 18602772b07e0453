"""The failure zoo: small programs that really fail, and whether diagnosis finds why.

Each file of `programs/` is one program in some style of training code, with its label in comments on top:

    # cause: ddp-uneven-inputs       the root cause
    # also: ddp-divergent-branch     causes that the log cannot tell from it
    # ranks: 2                       how many processes; each writes its own log
    # launch: torchrun               or `shell`; plain Python otherwise
    # env: NAME=value                set for it
    # culprit: 1                     the rank whose log tells the cause
    # drop: 1                        the rank whose log is withheld: only the echoes are left to read
    # context: the loss is flat      what its user says
    # give: code                     its user shows the code too

A program runs as `train.py` in a directory of its own, so that neither its name nor its place says what is wrong.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
TIMEOUT_S = 60


@dataclass(frozen=True)
class Program:
    """A labelled program."""

    name: str
    cause: str
    body: str
    also: frozenset[str] = frozenset()
    ranks: int = 1
    launch: str = "python"
    env: dict[str, str] = field(default_factory=dict)
    culprit: int | None = None
    drop: int | None = None
    context: str | None = None
    give_code: bool = False

    @property
    def right(self) -> frozenset[str]:
        """The causes that count as found."""
        return self.also | {self.cause}


@dataclass(frozen=True)
class Specimen:
    """What a program left behind: its logs in the order of ranks, and how it ended."""

    program: Program
    logs: tuple[str, ...]
    exit_codes: tuple[int, ...]
    seconds: float


def load(names: set[str] | None = None) -> list[Program]:
    """Read the programs, all or those named."""
    return [_parse(path) for path in sorted(PROGRAMS.glob("*.py")) if names is None or path.stem in names]


def _parse(path: Path) -> Program:
    text = path.read_text(encoding="utf-8")
    head = dict(re.findall(r"^# (\w+): (.+)$", text, re.MULTILINE))
    # The label must not be read by the one who is to find it.
    body = re.sub(r"^# \w+: .+\n", "", text, flags=re.MULTILINE)
    return Program(
        name=path.stem,
        cause=head["cause"],
        body=body,
        also=frozenset(head.get("also", "").replace(",", " ").split()),
        ranks=int(head.get("ranks", 1)),
        launch=head.get("launch", "ranks" if "ranks" in head else "python"),
        env=dict(pair.split("=", 1) for pair in head.get("env", "").split()),
        culprit=int(head["culprit"]) if "culprit" in head else None,
        drop=int(head["drop"]) if "drop" in head else None,
        context=head.get("context"),
        give_code=head.get("give") == "code",
    )


def run(program: Program) -> Specimen:
    """Run a program to its end and collect what it wrote."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="run") as folder:
        (Path(folder) / "train.py").write_text(program.body, encoding="utf-8")
        port = _free_port()
        count = program.ranks if program.launch == "ranks" else 1
        jobs = [_start(program, folder, rank, port) for rank in range(count)]
        ends = [_collect(job, Path(folder) / f"log{rank}") for rank, job in enumerate(jobs)]
    logs, codes = zip(*ends, strict=True)
    return Specimen(program, tuple(logs), tuple(codes), time.monotonic() - started)


def _start(program: Program, folder: str, rank: int, port: int) -> "subprocess.Popen[bytes]":
    env = {"PATH": os.environ["PATH"], "HOME": folder, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    env |= {"TORCHINDUCTOR_CACHE_DIR": folder, "LANG": "C.UTF-8"} | program.env
    command = [sys.executable, "train.py"]
    if program.launch == "ranks":
        env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(program.ranks)}
        env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    elif program.launch == "torchrun":
        launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(program.ranks)]
        command = [*launcher, "--master-port", str(port), "train.py"]
    elif program.launch == "shell":
        # The shell, not Python, is who says that a process was killed.
        command = ["bash", "-c", f"{sys.executable} train.py; code=$?; exit $code"]
    with (Path(folder) / f"log{rank}").open("wb") as log:
        return subprocess.Popen(
            command, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


def _collect(job: "subprocess.Popen[bytes]", log: Path) -> tuple[str, int]:
    """Wait for the process itself: what it leaves behind, such as loader workers, is ended with its group."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        job.wait(timeout=TIMEOUT_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(job.pid, signal.SIGKILL)
    return log.read_text(encoding="utf-8", errors="replace"), job.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def collect(programs: list[Program], workers: int = 2) -> list[Specimen]:
    """Run programs, a few at a time.

    What is started in the background ignores Ctrl-C, and so do its children: the program that is to be interrupted too.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(run, programs))


def keep(specimens: list[Specimen], folder: Path) -> None:
    """Write the logs: `<name>.log`, or `<name>/rank_<n>.log`, with the exit codes in the last line of a summary."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for specimen in specimens:
        for rank, log in enumerate(specimen.logs):
            several = len(specimen.logs) > 1
            path = (
                folder / specimen.program.name / f"rank_{rank}.log"
                if several
                else folder / f"{specimen.program.name}.log"
            )
            path.parent.mkdir(exist_ok=True)
            path.write_text(log, encoding="utf-8")


def as_is(specimen: Specimen, rng: random.Random) -> list[str]:
    """The logs as they were written; without the one that its label withholds."""
    return [log for rank, log in enumerate(specimen.logs) if rank != specimen.program.drop]


def cut(specimen: Specimen, rng: random.Random) -> list[str]:
    """Only the last 25 lines of each log, as a terminal keeps them."""
    return ["\n".join(log.splitlines()[-25:]) for log in as_is(specimen, rng)]


def wrapped(specimen: Specimen, rng: random.Random) -> list[str]:
    """Hard-wrapped at 80 columns, in the middle of words."""
    return [
        "\n".join(re.sub(r"(.{80})(?=.)", r"\1\n", line) for line in log.splitlines()) for log in as_is(specimen, rng)
    ]


def shuffled(specimen: Specimen, rng: random.Random) -> list[str]:
    """All ranks in one file, line by line in random order between ranks, prefixed as torchrun prefixes."""
    queues = [[f"[rank{rank}]: {line}" for line in log.splitlines()] for rank, log in enumerate(as_is(specimen, rng))]
    lines = []
    while any(queues):
        queue = rng.choice([queue for queue in queues if queue])
        for _ in range(min(rng.randint(1, 6), len(queue))):
            lines.append(queue.pop(0))
    return ["\n".join(lines)]


def without_culprit(specimen: Specimen, rng: random.Random) -> list[str]:
    """Only what the other ranks say."""
    return [log for rank, log in enumerate(specimen.logs) if rank != specimen.program.culprit]
