"""Too much of everything. Every program bounds itself at about twice what it was given."""

import ctypes
import mmap
import os
import resource
import socket
import sys
import time

from support import call, number, pwned, run_named

_MB = 1 << 20
_STEP = 16


def _bound(arena):
    """How many MiB to try: enough to prove the point."""
    return int(arena["memory_mb"] * 2.5)


def fill_the_heap(arena):
    """Lists of bytes."""
    held = []
    for _ in range(_bound(arena) // _STEP):
        held.append(b"x" * (_STEP * _MB))
    time.sleep(2)


def allocate_at_once(arena):
    """One object."""
    held = bytearray(_bound(arena) * _MB)
    for i in range(0, len(held), 4096):
        held[i] = 1
    time.sleep(1)


def fill_in_many_children(arena):
    """Each stays small; together they are not."""
    for _ in range(8):
        if os.fork() == 0:
            held = []
            for _ in range(_bound(arena) // 8 // _STEP):
                held.append(b"x" * (_STEP * _MB))
            time.sleep(2)
            os._exit(0)
    for _ in range(8):
        os.wait()


def fill_shared_memory(arena):
    """Anonymous memory that is shared, and forgotten by a child."""
    held = []
    for _ in range(_bound(arena) // _STEP):
        area = mmap.mmap(-1, _STEP * _MB)
        for i in range(0, len(area), 4096):
            area[i] = 1
        held.append(area)
    time.sleep(2)


def fill_anonymous_files(arena):
    """memfd: memory that no process maps."""
    held = []
    for index in range(_bound(arena) // _STEP):
        descriptor = call("syscall", number("memfd_create"), b"x", 0)
        if descriptor < 0:
            break
        for _ in range(_STEP):
            os.write(descriptor, b"x" * _MB)
        held.append(index)
    time.sleep(1)


def fill_system_v_segments(arena):
    """Segments that outlive their maker."""
    for _ in range(_bound(arena) // _STEP):
        segment = call("shmget", 0, _STEP * _MB, 0o1600)
        if segment < 0:
            break
        address = call("shmat", segment, 0, 0)
        if address > 0:
            ctypes.memset(address, 1, _STEP * _MB)
            call("shmdt", address)
    time.sleep(1)


def _fill(folder, limit_mb):
    for index in range(limit_mb):
        with open(f"{folder}/fill-{index}", "wb") as file:
            file.write(b"x" * _MB)
    pwned(f"{limit_mb} MiB fit into {folder}")


def fill_dev_shm(arena):
    """/dev/shm."""
    _fill("/dev/shm", max(_bound(arena), 1100))


def fill_tmp(arena):
    """/tmp."""
    _fill("/tmp", arena["disk_mb"] * 3)


def fill_the_work_directory(arena):
    """Its own directory."""
    _fill(".", arena["disk_mb"] * 3)


def reserve_the_disk(arena):
    """Blocks without writing."""
    descriptor = os.open("big", os.O_CREAT | os.O_WRONLY)
    os.posix_fallocate(descriptor, 0, arena["disk_mb"] * 3 * _MB)
    pwned("reserved more than the disk holds")


def make_a_sparse_giant(arena):
    """A file that is long and holds nothing: whoever copies it writes it all."""
    for index in range(40):
        try:
            with open(f"sparse-{index}", "wb") as file:
                file.truncate((arena["disk_mb"] - 1) * _MB)
        except OSError:
            break


def make_many_files(arena):
    """Names cost memory, too."""
    os.mkdir("many")
    for index in range(60_000):
        os.close(os.open(f"many/{index}", os.O_CREAT | os.O_WRONLY))


def make_deep_folders(arena):
    """What recursive clean-up trips over."""
    for _ in range(3000):
        os.mkdir("deeper")
        os.chdir("deeper")
    with open("bottom", "w") as file:
        file.write("x")


def flood_the_output(arena):
    """Lines without end."""
    while True:
        os.write(1, b"all work and no play makes a dull log\n" * 1000)


def print_one_long_line(arena):
    """No line end ever comes."""
    while True:
        os.write(2, b"x" * 65536)


def open_many_files(arena):
    """Descriptors."""
    held = []
    try:
        for _ in range(200_000):
            held.append(os.open("/dev/null", os.O_RDONLY))
        pwned("no limit on descriptors")
    except OSError:
        pass


def dump_core(arena):
    """A crash that writes all its memory."""
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, OSError):
        pass
    os.abort()


def use_the_processor_for_ever(arena):
    """A loop."""
    while True:
        pass


def sleep_for_ever(arena):
    """Nothing, for long."""
    time.sleep(3600)


def fill_socket_buffers(arena):
    """Memory of the kernel's, behind sockets."""
    held = []
    try:
        for _ in range(2000):
            one, other = socket.socketpair()
            one.setblocking(False)
            held.append((one, other))
            try:
                while True:
                    one.send(b"x" * 65536)
            except BlockingIOError:
                pass
    except OSError:
        pass


def fill_pipes(arena):
    """Memory of the kernel's, behind pipes."""
    import fcntl

    try:
        for _ in range(2000):
            _, writer = os.pipe()
            os.set_blocking(writer, False)
            try:
                fcntl.fcntl(writer, 1031, _MB)
            except OSError:
                pass
            try:
                while True:
                    os.write(writer, b"x" * 65536)
            except BlockingIOError:
                pass
    except OSError:
        pass


def recurse_for_ever(arena):
    """A stack without end."""
    sys.setrecursionlimit(10**9)

    def deeper(n):
        return deeper(n + 1) + 1

    deeper(0)


if __name__ == "__main__":
    run_named(globals())
