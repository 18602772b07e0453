"""Starts process 1 of a sandbox, by bubblewrap, by our own system calls or without namespaces, and ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from . import cgroups, init, kernel, meter, mounts

_BOOT = "import sys; sys.path.insert(0, sys.argv[2]); from jail.init import main; main(int(sys.argv[1]))"


def start(
    request: dict[str, Any],
    config: init.Config,
    sock: socket.socket,
    output: int,
    group: cgroups.Cgroup,
    warm: Callable[[init.Config, int], int] | None,
) -> int:
    """Start process 1 of `request`; it will talk over `sock` and write to `output`.

    Args:
        request: What to run and how (`mode`: "bubblewrap", "native" or "plain").
        config: What process 1 will be told.
        sock: Its end of the socket.
        output: Its standard output and error.
        group: What it joins before anything else.
        warm: Runs the program in this interpreter, see `init.serve`.

    Returns:
        The child that everything of the run descends from.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        with contextlib.suppress(OSError):
            group.join()
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        _keep_only({0, 1, 2, sock.fileno(), *(d for pair in config["channels"] for d in pair)})
        with contextlib.suppress(OSError):
            os.setsid()
        _enter(request, sock, warm)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(1)
    raise AssertionError


def _enter(request: dict[str, Any], sock: socket.socket, warm: Callable[[init.Config, int], int] | None) -> None:
    mode = request["mode"]
    if mode == "bubblewrap":
        layout = mounts.Layout(**request["layout"])
        words, _ = mounts.bubblewrap(layout, request["bubblewrap"], bool(request["drop_to"]))
        _execute_init([*words, "--"], request, sock)
    elif mode == "native":
        _enter_natively(request, sock, warm)
    else:
        os.chdir(request["plain_work"])
        _serve(request, sock, warm)


def _enter_natively(
    request: dict[str, Any], sock: socket.socket, warm: Callable[[init.Config, int], int] | None
) -> None:
    layout = mounts.Layout(**request["layout"])
    mounts.enter_namespaces(bool(request["drop_to"]), layout.uid, layout.gid)
    first = os.fork()
    if first:
        sock.close()
        _, status = os.waitpid(first, 0)
        os._exit(0 if status == 0 else 1)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    mounts.build(layout)
    _serve(request, sock, warm)


def _serve(request: dict[str, Any], sock: socket.socket, warm: Callable[[init.Config, int], int] | None) -> None:
    if warm is not None:
        init.serve(sock, warm)
    _execute_init([], request, sock)


def _execute_init(before: list[str], request: dict[str, Any], sock: socket.socket) -> None:
    os.set_inheritable(sock.fileno(), True)
    words = [*before, request["python"], "-I", "-S", "-c", _BOOT, str(sock.fileno()), request["code_home"]]
    os.execve(words[0], words, {"LANG": "C.UTF-8"})


def _keep_only(keep: set[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in keep:
            with contextlib.suppress(OSError):
                os.close(int(name))
    for descriptor in keep:
        os.set_inheritable(descriptor, True)


def process_ceiling(processes: int, request: dict[str, Any]) -> int:
    """RLIMIT_NPROC: a little above the limit, so that the watchdog sees it passed.

    Kernels before 5.14 count all processes of a user, not those in his user namespace: what he runs already is added.
    """
    ceiling = processes + 16
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2] if part.isdigit())
    if request["drop_to"] or (request["mode"] != "plain" and release >= (5, 14)):
        return ceiling
    return ceiling + _tasks_of_user(os.getuid())


def _tasks_of_user(uid: int) -> int:
    total = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{name}").st_uid == uid:
                    total += len(os.listdir(f"/proc/{name}/task"))
    return total


def kill_tree(group: cgroups.Cgroup, patience_s: float = 5.0) -> None:
    """Kill everything that descends from us or sits in `group`; return when all of it is gone."""
    deadline = time.monotonic() + patience_s
    ourselves = os.getpid()
    while True:
        alive = (set(meter.descendants(ourselves)) | group.members()) - {ourselves}
        for pid in alive:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        _reap_all()
        if not alive or time.monotonic() > deadline:
            return
        time.sleep(0.001)


def _reap_all() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
