"""A second wall around the file system, which the program's own privileges cannot move."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from . import kernel

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_ALL_OF_FIRST = (1 << 13) - 1
_READ = _EXECUTE | _READ_FILE | _READ_DIR
# No block or character devices are ever made.
_MAKE_DEVICES = (1 << 6) | (1 << 11)
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2
_VERSION_QUERY = 1


def version() -> int:
    """The version of the kernel's Landlock interface; 0 where there is none."""
    try:
        return kernel.syscall(kernel.SYS_LANDLOCK_CREATE, None, 0, _VERSION_QUERY)
    except OSError:
        return 0


def _handled(abi: int) -> int:
    rights = _ALL_OF_FIRST
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        rights |= right if abi >= since else 0
    return rights


def restrict(read: Iterable[str], write: Iterable[str]) -> None:
    """Let the calling thread and all that it starts read and execute below `read`, and write below `write` only.

    Paths that do not exist are passed over. no_new_privs must be set.

    Raises:
        OSError: The kernel has no Landlock.
    """
    abi = version()
    if not abi:
        raise OSError("this kernel has no Landlock")
    handled = _handled(abi)
    scoped = _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS if abi >= 6 else 0
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    attributes = ctypes.create_string_buffer(struct.pack("QQQ", handled, 0, scoped), 24)
    ruleset = kernel.syscall(kernel.SYS_LANDLOCK_CREATE, attributes, size, 0)
    try:
        for path in read:
            _allow(ruleset, path, _READ)
        for path in write:
            _allow(ruleset, path, handled & ~_MAKE_DEVICES)
        kernel.syscall(kernel.SYS_LANDLOCK_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        anchor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(anchor).st_mode):
            rights &= _ON_FILES
        beneath = ctypes.create_string_buffer(struct.pack("=Qi", rights, anchor), 12)
        kernel.syscall(kernel.SYS_LANDLOCK_ADD, ruleset, 1, beneath, 0)
    finally:
        os.close(anchor)
