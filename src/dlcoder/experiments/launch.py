"""Start one training run, and let it live no longer than we do."""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def run_to_end(argv: Sequence[str], cwd: Path, log: Path) -> int | str:
    """Run a command, what it prints going to the end of `log`.

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
                preexec_fn=_die,
            ) as process,
        ):
            try:
                return process.wait()
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
    except OSError as error:
        return f"{argv[0]} cannot be started: {error.strerror}"


def launched(argv: list[str], gpus: int) -> list[str]:
    """A command as it is started on so many GPUs of one machine."""
    return torchrun(argv, gpus) if gpus > 1 else argv


def torchrun(argv: list[str], processes: int) -> list[str]:
    """A command under torchrun, if it is one of Python."""
    if argv[0] not in ("python", "python3"):
        return argv
    return ["torchrun", "--standalone", "--nproc-per-node", str(processes), *argv[1:]]


def _die() -> None:
    """End with the parent, even if that is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Claim a run among all workers that see its folder; the claim ends with its holder, however that ends.

    Yields:
        Whether the run is ours.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
