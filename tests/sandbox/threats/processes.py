"""Processes: too many, too tough to kill, left behind, or somebody else's. Every bomb bounds itself."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

from support import call, number, pwned, run_named

_MANY = 600


def _linger(seconds=6):
    """Stay a while, under a name that the judge looks for."""
    time.sleep(seconds)
    os._exit(0)


def fork_bomb(arena):
    """Children that stay."""
    for _ in range(_MANY):
        try:
            if os.fork() == 0:
                _linger()
        except OSError:
            time.sleep(0.02)
    time.sleep(3)


def fork_tree(arena):
    """Children of children."""
    for _ in range(10):
        try:
            os.fork()
        except OSError:
            time.sleep(0.05)
    _linger(4)


def thread_bomb(arena):
    """Threads count as processes do."""
    for _ in range(_MANY):
        try:
            threading.Thread(target=time.sleep, args=(4,), daemon=True).start()
        except RuntimeError:
            time.sleep(0.02)
    time.sleep(2)


def fork_and_die_quickly(arena):
    """A race for whoever counts: each process forks two and ends."""
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        try:
            if os.fork() == 0:
                try:
                    os.fork()
                finally:
                    os._exit(0)
        except OSError:
            pass
        try:
            os.waitpid(-1, os.WNOHANG)
        except OSError:
            pass


def make_zombies(arena):
    """Children that nobody waits for."""
    for _ in range(_MANY):
        try:
            if os.fork() == 0:
                os._exit(0)
        except OSError:
            time.sleep(0.01)
    time.sleep(1)


def leave_a_daemon(arena):
    """Double fork, new session, streams closed."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for descriptor in range(3):
                os.close(descriptor)
            for kind in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(kind, signal.SIG_IGN)
            _linger(20)
        os._exit(0)
    time.sleep(0.2)


def leave_a_shell_job(arena):
    """nohup, setsid and an ampersand."""
    subprocess.run(["sh", "-c", "nohup setsid sleep 20 >/dev/null 2>&1 &"], check=False)
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"], start_new_session=True)


def hold_the_output_open(arena):
    """A child that keeps the pipe, so that a reader waits for its end."""
    if os.fork() == 0:
        os.setsid()
        _linger(20)


def escape_by_clone_parent(arena):
    """CLONE_PARENT: the child is the parent's."""
    if number("clone") and call("syscall", number("clone"), 0x00008000 | signal.SIGCHLD, 0, 0, 0, 0) == 0:
        _linger(20)


def ignore_signals_and_spin(arena):
    """Only SIGKILL ends it."""
    for kind in range(1, 65):
        try:
            signal.signal(kind, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    while True:
        pass


def hang_in_native_code(arena):
    """No signal handler of Python's runs there."""
    ctypes.CDLL(None).sleep(3600)


def stop_itself(arena):
    """A stopped process does not end by itself."""
    os.kill(os.getpid(), signal.SIGSTOP)


def stop_everything(arena):
    """SIGSTOP to all that it sees."""
    if os.getpid() < 100:
        try:
            os.kill(-1, signal.SIGSTOP)
        except OSError:
            pass
    os.kill(os.getpid(), signal.SIGSTOP)


def kill_the_parents(arena):
    """Everything above, by number."""
    for pid in {os.getppid(), 1, arena["judge"], arena["victim"]}:
        for kind in (signal.SIGTERM, signal.SIGKILL):
            try:
                if os.getpid() < 100:
                    os.kill(pid, kind)
            except OSError:
                pass
    time.sleep(0.2)


def kill_everything(arena):
    """kill(-1), which reaches all that it may."""
    if os.getpid() < 100:
        try:
            os.kill(-1, signal.SIGKILL)
        except OSError:
            pass
    time.sleep(0.2)


def see_other_processes(arena):
    """The host's processes in /proc."""
    names = [name for name in os.listdir("/proc") if name.isdigit()]
    if len(names) > 6:
        pwned(f"sees {len(names)} processes")
    if os.path.exists(f"/proc/{arena['victim']}/cmdline") and arena["victim"] > 100:
        pwned("sees the victim")


def stall_the_end(arena):
    """Exit handlers and threads that never finish."""
    import atexit

    atexit.register(time.sleep, 3600)
    threading.Thread(target=time.sleep, args=(3600,)).start()


def exit_by_every_status(arena):
    """128 + 9 by itself is not a kill, and 300 is not a status."""
    os._exit(137)


def crash(arena):
    """A segmentation fault is a status, not an accident of the sandbox."""
    ctypes.string_at(0)


def spin_in_all_threads(arena):
    """All processors, at the lowest nice value that can be had."""
    try:
        os.nice(-20)
    except OSError:
        pass
    for _ in range(8):
        if os.fork() == 0:
            while True:
                pass
    while True:
        pass


if __name__ == "__main__":
    run_named(globals())
