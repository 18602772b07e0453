"""The system calls that Python does not offer, by ctypes."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct

ARCH = os.uname().machine

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 0x1, 0x2, 0x4, 0x8, 0x20
MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE = 0x1000, 0x4000, 0x40000, 0x80000
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
PR_SET_CHILD_SUBREAPER, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 36, 47, 4

# The same on every architecture since 2019; the older ones are looked up by machine.
SYS_MOUNT_SETATTR, SYS_LANDLOCK_CREATE, SYS_LANDLOCK_ADD, SYS_LANDLOCK_RESTRICT = 442, 444, 445, 446
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}.get(ARCH, -1)
SYS_KEYCTL = {"x86_64": 250, "aarch64": 219}.get(ARCH, -1)
SYS_CAPSET = {"x86_64": 126, "aarch64": 91}.get(ARCH, -1)

_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(number: int, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """Make a raw system call.

    Raises:
        OSError: The kernel refused it.
    """
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _check(int(_libc.syscall(ctypes.c_long(number), *converted)), f"system call {number}")


def prctl(option: int, argument: int = 0, third: int = 0) -> int:
    """Set a property of the calling process."""
    values = [ctypes.c_ulong(v) for v in (argument, third, 0, 0)]
    return _check(int(_libc.prctl(ctypes.c_int(option), *values)), f"prctl {option}")


def unshare(flags: int) -> None:
    """Leave the caller's namespaces for new ones."""
    _check(int(_libc.unshare(ctypes.c_int(flags))), "unshare")


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """Mount `source` on `target`."""
    encoded = [os.fsencode(text) if text is not None else None for text in (source, target, kind)]
    result = _libc.mount(*encoded, ctypes.c_ulong(flags), options.encode() or None)
    _check(int(result), f"mount {source or kind} on {target}")


def unmount(target: str) -> None:
    """Detach what is mounted on `target`."""
    _check(int(_libc.umount2(os.fsencode(target), MNT_DETACH)), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root, with the former one at `old`."""
    syscall(SYS_PIVOT_ROOT, os.fsencode(new), os.fsencode(old))


def make_read_only(target: str, device: bool = False) -> None:
    """Set a mount and all below it read-only, without set-user-id programs and (unless asked for) device nodes."""
    attributes = 0x1 | 0x2 | (0 if device else 0x4)
    try:
        setting = ctypes.create_string_buffer(struct.pack("QQQQ", attributes, 0, 0, 0), 32)
        syscall(SYS_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), _AT_RECURSIVE, setting, 32)
    except OSError:
        # Kernels before 5.12: only the top, which is all there is in the usual case.
        mount(None, target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | (0 if device else MS_NODEV))


def raise_loopback() -> None:
    """Bring `lo` up in a new network namespace: torchrun and gloo talk over it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        up, running, set_flags = 0x1, 0x40, 0x8914
        fcntl.ioctl(sock, set_flags, struct.pack("16sH14x", b"lo", up | running))


def bound_capabilities() -> None:
    """Rule out that a capability is ever gained again, by whatever program is started."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            break  # beyond the last one, or without the right to drop any


def drop_capabilities() -> None:
    """Give up every capability."""
    with contextlib.suppress(OSError):  # kernels before 4.3 have no ambient set
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = ctypes.create_string_buffer(struct.pack("II", 0x20080522, 0), 8)
    syscall(SYS_CAPSET, header, ctypes.create_string_buffer(24))


def new_keyring() -> None:
    """Leave the session keyring of whoever started us."""
    # A kernel without keyrings, or a container that denies them, has nothing to inherit.
    with contextlib.suppress(OSError):
        syscall(SYS_KEYCTL, 1, None)
