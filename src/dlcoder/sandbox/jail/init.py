"""Process 1 of the sandbox: raises the inner walls around itself, starts the program behind them, and reports its end.

Being process 1, its own end is the end of everything that the program left behind.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from . import kernel, landlock, seccomp, wire

Config = dict[str, Any]
_GRACE_S = 1.0


def main(descriptor: int) -> None:
    """Serve the supervisor at the other end of the socket `descriptor`, in a fresh interpreter."""
    serve(socket.socket(fileno=descriptor))


def serve(sock: socket.socket, warm: Callable[[Config, int], int] | None = None) -> None:
    """Run what the supervisor asks for, then leave the process.

    Args:
        sock: Where the supervisor listens.
        warm: Runs rank `n` of the request in this very interpreter and returns its exit status; by default each rank
            is a fresh program.
    """
    status = 1
    try:
        config, _ = wire.receive(sock)
        _hand_over_folders(sock, config)
        wire.receive(sock)  # the work directory is filled
        wire.send(sock, {"layers": harden(config)})
        ranks = [_start(config, rank, sock, warm) for rank in range(config["nproc"])]
        wire.send(sock, {"exit": _wait(ranks, sock)})
        status = 0
    except EOFError:
        pass  # the supervisor is gone, and so are we
    except Exception as error:
        with contextlib.suppress(OSError):
            wire.send(sock, {"error": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(status)


def _hand_over_folders(sock: socket.socket, config: Config) -> None:
    """Give the supervisor a hold on the private file systems that no program can move."""
    if not config["namespaces"]:
        wire.send(sock, {"ready": True})
        return
    folders = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in config["private"]]
    if config["drop_to"]:
        os.fchown(folders[0], config["drop_to"], config["drop_to"])
    wire.send(sock, {"ready": True}, folders)
    for folder in folders:
        os.close(folder)


def harden(config: Config) -> list[str]:
    """Raise the inner walls; return the names of those that stand.

    Raises:
        OSError: One that the supervisor counts on could not be raised.
    """
    layers = []
    with contextlib.suppress(OSError):
        os.setsid()
    kernel.new_keyring()
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("800")
    _limit(config)
    if not config["metered"]:
        os.nice(5)  # who watches must get the processor before who is watched
    kernel.bound_capabilities()
    if config["drop_to"]:
        os.setgroups([])
        os.setresgid(*[config["drop_to"]] * 3)
        os.setresuid(*[config["drop_to"]] * 3)
        layers.append("uid")
    kernel.drop_capabilities()
    # Changing who we are has cleared it.
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    os.umask(0o077)
    if config["landlock"]:
        landlock.restrict(config["readable"], config["writable"])
        layers.append("landlock")
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    if config["seccomp"]:
        seccomp.apply(seccomp.assemble(config["namespaces"], config["metered"]))
        layers.append("seccomp")
    return [*layers, "rlimits"]


def _limit(config: Config) -> None:
    limits = {
        "CORE": 0,
        "NOFILE": 1024,
        "FSIZE": config["file_bytes"],
        "NPROC": config["rlimit_nproc"],
        "DATA": config["rlimit_data"],
        "CPU": config["rlimit_cpu"],
        "MSGQUEUE": 0,
        "RTPRIO": 0,
        "STACK": 64 << 20,
        "MEMLOCK": config["memlock"],
    }
    for name, value in limits.items():
        kind = getattr(resource, "RLIMIT_" + name)
        ceiling = resource.getrlimit(kind)[1]
        if value < 0:
            continue
        value = value if ceiling == resource.RLIM_INFINITY else min(value, ceiling)
        soft = min(value, 8 << 20) if name == "STACK" else value
        resource.setrlimit(kind, (soft, value))


def _start(config: Config, rank: int, sock: socket.socket, warm: Callable[[Config, int], int] | None) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 127
    try:
        sock.close()
        _wire_up(config, rank)
        if warm is not None:
            kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
            status = warm(config, rank)
        else:
            _execute(config, rank)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(2, f"sandbox: {type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(status)
    raise AssertionError


def _wire_up(config: Config, rank: int) -> None:
    """Leave nothing open but standard input, output, error and the rank's own channel."""
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    keep = {0, 1, 2}
    channels = config["channels"]
    if channels:
        header, frames = channels[rank]
        os.dup2(header, 0)
        keep.add(frames)
        os.set_inheritable(frames, True)
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in keep:
            with contextlib.suppress(OSError):
                os.close(int(name))


def environment(config: Config, rank: int) -> dict[str, str]:
    """The environment of rank `rank`: torchrun's variables are there if there is more than one."""
    env = dict(config["env"])
    world = config["nproc"]
    if world > 1:
        own = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world}
        own.update({"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 29400, "TORCHELASTIC_RUN_ID": "none"})
        env.update((key, str(value)) for key, value in own.items())
    return env


def _execute(config: Config, rank: int) -> None:
    argv = list(config["argv"])
    env = environment(config, rank)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvpe(argv[0], argv, env)
    except OSError as error:
        os.write(2, f"sandbox: cannot run {argv[0]!r}: {error.strerror}\n".encode())
        os._exit(126 if isinstance(error, PermissionError) else 127)


def _wait(ranks: list[int], sock: socket.socket) -> dict[str, Any]:
    """Reap everything until the last rank has ended; one that fails takes the others with it, as under torchrun."""
    codes: dict[int, int] = {}
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    poller = select.poll()
    poller.register(reader, select.POLLIN)
    poller.register(sock, select.POLLIN)
    deadline = None
    failed = 0
    while True:
        while True:
            pid, status = _reap()
            if pid <= 0:
                break
            if pid in ranks:
                codes[pid] = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                failed = failed or codes[pid]
        if len(codes) == len(ranks):
            break
        if failed and deadline is None:
            deadline = time.monotonic() + _GRACE_S
            _signal(ranks, codes, signal.SIGTERM)
        elif deadline is not None and time.monotonic() >= deadline:
            _signal(ranks, codes, signal.SIGKILL)
        for descriptor, _ in poller.poll(None if deadline is None else 100):
            if descriptor == reader:
                os.read(reader, 4096)
            else:
                raise EOFError
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"code": failed, "ranks": [codes[pid] for pid in ranks], "cpu": usage.ru_utime + usage.ru_stime}


def _reap() -> tuple[int, int]:
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return 0, 0


def _signal(ranks: list[int], codes: dict[int, int], number: int) -> None:
    for pid in ranks:
        if pid not in codes:
            with contextlib.suppress(OSError):
                os.kill(pid, number)


if __name__ == "__main__":
    main(int(sys.argv[1]))
