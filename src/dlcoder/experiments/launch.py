"""Start one training run, and let it live no longer than we do."""

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dlcoder.errors import UserError

_PR_SET_PDEATHSIG = 1
_TO_SAVE_S = 30.0


def run_to_end(argv: Sequence[str], cwd: Path, log: Path, claim: int) -> int | str:
    """Run a command.

    If we are killed it is told to end (SIGTERM), so that it can save and end its own processes; until it has ended,
    it holds our claim.

    Args:
        argv: The command; `python` is the interpreter that runs us.
        cwd: Where to start it.
        log: What it prints is added there.
        claim: As `claimed` gave it.

    Returns:
        Its exit status, 0 for success, or why it could not be started.
    """
    words = [sys.executable, *argv[1:]] if argv[0] in ("python", "python3") else list(argv)
    try:
        with (
            log.open("ab") as output,
            subprocess.Popen(
                words,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=[claim],
                preexec_fn=_end_with_parent,
            ) as process,
        ):
            try:
                return process.wait()
            finally:
                _end(process)
    except OSError as error:
        return f"{argv[0]} cannot be started: {error.strerror}"


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Let a command save where it still runs, then end it with all that it started."""
    try:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(_TO_SAVE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def launched(argv: list[str], gpus: int) -> list[str]:
    """A command as it is started on so many GPUs of one machine."""
    return torchrun(argv, gpus) if gpus > 1 else argv


def torchrun(argv: list[str], processes: int) -> list[str]:
    """A command under torchrun, if it is one of Python."""
    if argv[0] not in ("python", "python3"):
        return argv
    return ["torchrun", "--standalone", "--nproc-per-node", str(processes), *argv[1:]]


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def stoppable(work: Callable[[], int], name: str) -> int:
    """Do long work that a person may stop by Ctrl-C, and a scheduler by SIGTERM: what it started then ends first."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return work()
    except UserError as error:
        print(f"dlcoder {name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"dlcoder {name}: stopped. The same command goes on.", file=sys.stderr)
        return 128 + signal.SIGINT
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def claimed(folder: Path) -> Iterator[int | None]:
    """Claim a run among all workers that see its folder; the claim ends with its holder, however that ends.

    Yields:
        The claim, to hand on; None where the run is another's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        yield lock.fileno()
