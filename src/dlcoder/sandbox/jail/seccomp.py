"""A system call filter, assembled here: no library is needed.

It denies what reaches beyond the sandbox or into rarely used kernel code, by name, and everything newer than it knows.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from . import kernel

_LOAD, _JUMP_EQ, _JUMP_GE, _JUMP_SET, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; the arguments are 64 bit, low word first
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
_NEWEST_KNOWN = 456
_NAMESPACES = 0x7E020080  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET} and CLONE_NEWTIME
_SHARED = (425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 440, 442, 443, 447, 448)
"""io_uring_*, open_tree, move_mount, fs*, fspick, pidfd_getfd, process_madvise, mount_setattr, quotactl_fd,
memfd_secret, process_mrelease: one number on every architecture."""

_DENIED = {
    "x86_64": {
        # ptrace, process_vm_*, kcmp, process memory and files of others
        *(101, 310, 311, 312),
        # mount, umount2, pivot_root, chroot, swapon, swapoff, unshare, setns
        *(165, 166, 155, 161, 167, 168, 272, 308),
        # reboot, sethostname, setdomainname, iopl, ioperm, modules, kexec, acct, quotactl, nfsservctl
        *(169, 170, 171, 172, 173, 174, 175, 176, 177, 178, 313, 246, 320, 163, 179, 180),
        # clock setters, syslog, uselib, ustat, sysfs, _sysctl, modify_ldt, vhangup, lookup_dcookie
        *(164, 227, 159, 305, 103, 134, 136, 139, 156, 154, 153, 212),
        # keys, bpf, perf, userfaultfd, fanotify, file handles
        *(248, 249, 250, 321, 298, 323, 300, 301, 303, 304),
    },
    "aarch64": {
        *(117, 270, 271, 272),
        *(40, 39, 41, 51, 224, 225, 97, 268),
        *(142, 161, 162, 105, 106, 273, 104, 294, 89, 60, 42),
        *(170, 112, 171, 266, 116, 58, 18),
        *(217, 218, 219, 280, 241, 282, 262, 263, 264, 265),
    },
}
_CALLS = {
    # clone, ioctl, socket, socketpair, personality
    "x86_64": {"clone": 56, "ioctl": 16, "socket": 41, "socketpair": 53, "personality": 135},
    "aarch64": {"clone": 220, "ioctl": 29, "socket": 198, "socketpair": 199, "personality": 92},
}
_MEMFD_CREATE = {"x86_64": 319, "aarch64": 279}
_SHMGET = {"x86_64": 29, "aarch64": 194}
_CLONE3, _SECCOMP_SET_FILTER = 435, 22
_TERMINAL = (0x5412, 0x541C, 0x5423)  # TIOCSTI, TIOCLINUX, TIOCSETD
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16

Instruction = bytes


def supported() -> bool:
    """Whether a filter is known for this machine."""
    return kernel.ARCH in _AUDIT_ARCH


def _do(code: int, value: int, yes: int = 0, no: int = 0) -> Instruction:
    return struct.pack("HBBI", code, yes, no, value)


def _fail(number: int) -> Instruction:
    return _do(_RETURN, _ERRNO | number)


def _argument(index: int) -> Instruction:
    return _do(_LOAD, _ARGUMENTS + 8 * index)


def _case(number: int, body: list[Instruction]) -> list[Instruction]:
    """Run `body`, which must return on every path, if the system call is `number`."""
    return [_do(_JUMP_EQ, number, 0, len(body)), *body]


def _socket(network: bool) -> list[Instruction]:
    """Judge socket(family, type, protocol).

    Only what works inside the network namespace (AF_VSOCK, for one, would leave it), no raw packets; without a
    namespace nothing at all.
    """
    if not network:
        return [_fail(errno.EACCES)]
    allow, deny = _do(_RETURN, _ALLOW), _fail(errno.EAFNOSUPPORT)
    plain_type = [
        _argument(1),
        _do(_AND, 0xF),
        _do(_JUMP_EQ, 1, 1, 0),  # SOCK_STREAM
        _do(_JUMP_EQ, 2, 0, 1),  # SOCK_DGRAM
        allow,
        _fail(errno.EPERM),
    ]
    routes = [_argument(2), _do(_JUMP_EQ, 0, 0, 1), allow, deny]
    return [
        _argument(0),
        _do(_JUMP_EQ, _AF_UNIX, 0, 1),
        allow,
        _do(_JUMP_EQ, _AF_INET, 1, 0),
        _do(_JUMP_EQ, _AF_INET6, 0, len(plain_type)),
        *plain_type,
        _do(_JUMP_EQ, _AF_NETLINK, 0, len(routes)),
        *routes,
        deny,
    ]


def assemble(network: bool, metered: bool) -> bytes:
    """Build the filter for this machine.

    Args:
        network: Whether there is a private network namespace, so that sockets may be allowed.
        metered: Whether a memory controller counts every page. Where none does, memory that no process shows
            (memfd, System V segments) is denied, as no watchdog would see it.

    Returns:
        The program, as an array of struct sock_filter.
    """
    allow = _do(_RETURN, _ALLOW)
    calls = _CALLS[kernel.ARCH]
    program = [_do(_LOAD, _ARCH), _do(_JUMP_EQ, _AUDIT_ARCH[kernel.ARCH], 1, 0), _do(_RETURN, _KILL)]
    program += [_do(_LOAD, _NUMBER)]
    program += [_do(_JUMP_GE, _X32, 0, 1), _fail(errno.ENOSYS)]
    program += [_do(_JUMP_GE, _NEWEST_KNOWN + 1, 0, 1), _fail(errno.ENOSYS)]
    # C libraries fall back to clone(), whose flags can be judged.
    program += _case(_CLONE3, [_fail(errno.ENOSYS)])
    hidden = set() if metered else {_MEMFD_CREATE[kernel.ARCH], _SHMGET[kernel.ARCH]}
    for number in sorted(_DENIED[kernel.ARCH] | set(_SHARED)):
        program += _case(number, [_fail(errno.ENOSYS if 425 <= number <= 427 else errno.EPERM)])
    for number in sorted(hidden):
        program += _case(number, [_fail(errno.ENOSYS)])
    program += _case(calls["clone"], [_argument(0), _do(_JUMP_SET, _NAMESPACES, 0, 1), _fail(errno.EPERM), allow])
    terminal = [_do(_JUMP_EQ, request, len(_TERMINAL) - i, 0) for i, request in enumerate(_TERMINAL)]
    program += _case(calls["ioctl"], [_argument(1), *terminal, allow, _fail(errno.EPERM)])
    personality = [_argument(0), _do(_JUMP_EQ, 0, 1, 0), _do(_JUMP_EQ, 0xFFFFFFFF, 0, 1), allow, _fail(errno.EPERM)]
    program += _case(calls["personality"], personality)
    pair = [_argument(0), _do(_JUMP_EQ, _AF_UNIX, 0, 1), allow, _fail(errno.EAFNOSUPPORT)]
    program += _case(calls["socketpair"], pair)
    program += _case(calls["socket"], _socket(network))
    return b"".join([*program, allow])


def apply(program: bytes) -> None:
    """Put the calling thread and all that it starts behind the filter; no_new_privs must be set.

    Raises:
        OSError: The kernel has no filters.
    """
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    mode_filter = 2
    buffer = ctypes.create_string_buffer(header, len(header))
    kernel.prctl(_SECCOMP_SET_FILTER, mode_filter, ctypes.addressof(buffer))
