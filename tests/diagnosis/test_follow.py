"""Following logs: when they are read again, and which files hold the run after rotation."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dlcoder.diagnosis.follow import EVERY_S, POLL_S, Watcher

OOM = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.15 GiB "
    "of which 1.20 GiB is free.\n"
)
DLCODER = Path(sys.executable).parent / "dlcoder"


class Clock:
    """Time that passes only while somebody sleeps; what is due happens then."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], object]]] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now > 500:
            raise TimeoutError("nothing was worth reading")
        for entry in [entry for entry in self.due if entry[0] <= self.now]:
            self.due.remove(entry)
            entry[1]()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def watch(clock: Clock, *paths: Path) -> Iterator[list[Path]]:
    return Watcher(paths, lambda: clock.now, clock.sleep).changes()


def append(file: Path, text: str) -> None:
    with file.open("a") as stream:
        stream.write(text)


def test_a_log_that_appears_later_is_read_as_soon_as_it_has_lines(clock: Clock, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "rank_0.log"
    clock.due = [(10, log.parent.mkdir), (20, log.touch), (30, lambda: append(log, "step 1 loss 2.0\n"))]
    assert next(watch(clock, log.parent)) == [log.parent]
    assert 30 <= clock.now <= 30 + 2 * POLL_S


def test_a_message_of_a_failure_is_read_at_once_and_ordinary_lines_every_few_seconds(
    clock: Clock, tmp_path: Path
) -> None:
    log = tmp_path / "a.log"
    append(log, "step 1 loss 2.0\n")
    changes = watch(clock, log)
    next(changes)
    read = clock.now
    append(log, "step 2 loss 1.9\n")
    next(changes)
    assert read + EVERY_S <= clock.now <= read + EVERY_S + 2 * POLL_S
    read = clock.now
    clock.due = [(read + 1, lambda: append(log, "torch.OutOfMemoryError: CUDA out of memory.\n"))]
    next(changes)
    assert clock.now <= read + 1 + 2 * POLL_S


def test_nothing_is_read_again_while_nothing_is_written(clock: Clock, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    append(log, "step 1 loss 2.0\n")
    changes = watch(clock, log)
    next(changes)
    with pytest.raises(TimeoutError):
        next(changes)


def test_a_log_that_takes_long_to_read_is_read_less_often(clock: Clock, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    append(log, "step 1 loss 2.0\n")
    changes = watch(clock, log)
    next(changes)
    clock.now += 10  # what reading took
    done = clock.now
    append(log, "torch.OutOfMemoryError: CUDA out of memory.\n")
    next(changes)
    assert clock.now - done > 7 * 10


@pytest.mark.parametrize("how", ["renamed", "copied"])
def test_a_rotated_log_stays_part_of_the_run(clock: Clock, tmp_path: Path, how: str) -> None:
    log, old = tmp_path / "train.log", tmp_path / "train.log.1"
    append(log, "step 1 loss 2.0\nstep 2 loss 1.9\nstep 3 loss 1.8\n")
    changes = watch(clock, log)
    assert next(changes) == [log]
    if how == "renamed":
        log.rename(old)
    else:
        old.write_bytes(log.read_bytes())
        os.truncate(log, 0)
    append(log, "step 4\n")
    assert next(changes) == [old, log]
    assert next(iter([*old.read_text().splitlines()])) == "step 1 loss 2.0"


def test_a_message_cut_by_the_last_look_is_still_seen(clock: Clock, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    append(log, "step 1\ntorch.OutOfMemoryError: CUDA out ")
    changes = watch(clock, log)
    next(changes)
    read = clock.now
    append(log, "of memory.\n")
    next(changes)
    assert clock.now < read + EVERY_S - POLL_S


def start(*arguments: str) -> "subprocess.Popen[str]":
    command = [str(DLCODER), "diagnose", "--follow", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_command_tells_each_verdict_once_and_ends_with_the_failure(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("".join(f"epoch {e} train_loss {2 / (e + 1):.3f}\n" for e in range(8)))
    with start(str(log), "--until-failure") as process:
        assert process.stdout and process.stderr
        first = process.stdout.readline()
        append(log, "epoch 8 train_loss 0.20\nepoch 9 train_loss 0.19\n")
        time.sleep(0.6)
        append(log, OOM)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 1 and "Following" in err
    assert "Nothing is wrong" in first and "emory" in out
    assert len([line for line in (first + out).splitlines() if line.startswith("[")]) == 2
    assert "\x1b" not in first + out


def test_ctrl_c_ends_following_with_130(tmp_path: Path) -> None:
    with start(str(tmp_path / "absent.log"), "--json") as process:
        assert process.stderr and "Following" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--follow"], "Only files can be followed."), (["--until-failure", "x.log"], "Give --follow too.")],
)
def test_what_cannot_be_followed_is_said(arguments: list[str], said: str) -> None:
    done = subprocess.run([str(DLCODER), "diagnose", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and said in done.stderr
