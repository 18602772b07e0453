"""The warm worker: an interpreter with torch imported, from which every run is forked.

It never computes (libgomp's threads do not survive a fork), never touches CUDA, and never runs anything of the user's
but what importing torch runs; a run is a child in namespaces of its own and leaves nothing here.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import os
import select
import signal
import socket
import sys

from . import kernel, program, supervisor

READY, JOB = b"R", b"J"
_MODULES = (
    *("torch", "torch.nn", "torch.optim", "torch.utils.data", "torch.nn.parallel", "torch.distributed"),
    *("torch.multiprocessing", "torch.distributed.elastic.multiprocessing.errors", "torch.amp", "torch._dynamo"),
    *("harness.channel", "harness.project", "ctypes.util", "unittest.mock"),
)


def main(descriptor: int, idle_s: float) -> None:
    """Import, say so over the socket `descriptor`, then fork a supervised run for every socket that arrives over it."""
    sock = socket.socket(fileno=descriptor)
    _die_with_peer(sock, True)
    with contextlib.suppress(OSError):
        kernel.unshare(kernel.CLONE_NEWNET)  # importing needs no network; without privileges this is refused
    _import()
    _die_with_peer(sock, False)
    sock.sendall(READY)
    while True:
        readable, _, _ = select.select([sock], [], [], idle_s)
        _reap()
        if not readable:
            return
        data, descriptors, _, _ = socket.recv_fds(sock, 1, 1)
        if data != JOB or not descriptors or _threads() != 1:
            return
        if os.fork() == 0:
            _serve(sock, descriptors[0])
        os.close(descriptors[0])


def _die_with_peer(sock: socket.socket, on: bool) -> None:
    """End at once when whoever started us is gone, also in the middle of an import."""
    fcntl.fcntl(sock, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(sock, fcntl.F_GETFL)
    fcntl.fcntl(sock, fcntl.F_SETFL, flags | os.O_ASYNC if on else flags & ~os.O_ASYNC)


def _import() -> None:
    for name in _MODULES:
        # Old versions lack some, and a harness module that breaks will say so in the run that needs it.
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    with contextlib.suppress(Exception):
        sys.modules["harness.channel"].import_all("component")
    if "torch" not in sys.modules:
        raise SystemExit("torch cannot be imported")
    # A program must not find our packages on its path; the harness's own runs put them back.
    del sys.path[0]
    gc.collect()
    gc.freeze()


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _serve(sock: socket.socket, control: int) -> None:
    try:
        sock.close()
        with contextlib.suppress(OSError):
            os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        supervisor.main(control, program.run)
    finally:
        os._exit(0)
