"""Run a command as an ordinary user, for a root that tests: `python ordinary.py COMMAND ...`.

The interpreter may lie in root's home, which others cannot enter: in a mount namespace of its own, the home is an empty
directory with nothing but the interpreter in it. `main` leaves the process.
"""

import ctypes
import os
import sys

UID = 12001
_libc = ctypes.CDLL(None, use_errno=True)


def _mount(source, target, kind, flags, options=None):
    encoded = [os.fsencode(text) if text else None for text in (source, target, kind, options)]
    if _libc.mount(*encoded[:3], flags, encoded[3]):
        raise OSError(ctypes.get_errno(), f"mount {target}")


def _closed_to_others(path):
    """The outermost directory above `path` that others may not enter."""
    parts = path.split("/")
    for length in range(2, len(parts) + 1):
        folder = "/".join(parts[:length])
        if not os.stat(folder).st_mode & 0o001:
            return folder
    return None


def _open_a_way(path):
    closed = _closed_to_others(path)
    if closed is None:
        return
    anchor = os.open(path, os.O_PATH)
    _mount("tmpfs", closed, "tmpfs", 0, "mode=755")
    os.makedirs(path)
    _mount(f"/proc/self/fd/{anchor}", path, None, 0x1000)
    os.close(anchor)


def main(command):
    """Become the ordinary user and run `command` in place of this process."""
    if os.geteuid() == 0:
        if _libc.unshare(0x20000):
            raise OSError(ctypes.get_errno(), "unshare")
        _mount(None, "/", None, 0x4000 | 0x40000)
        for prefix in dict.fromkeys((sys.prefix, sys.base_prefix, os.getcwd())):
            _open_a_way(prefix)
        os.environ["HOME"] = "/nonexistent"  # the battery makes a home of its own
        os.setgroups([])
        os.setresgid(UID, UID, UID)
        os.setresuid(UID, UID, UID)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
