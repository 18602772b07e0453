"""Reaching for the kernel: privileges, namespaces, interfaces that a training program has no use for."""

import ctypes
import errno
import mmap
import os
import platform
import socket
import struct

from support import call, number, pwned, run_named


def mount_a_file_system(arena):
    """Mount a tmpfs over /usr."""
    if call("mount", b"none", b"/usr", b"tmpfs", 0, None) == 0:
        pwned("mounted")


def make_the_root_writable(arena):
    """Remount / read-write and write to it."""
    call("mount", None, b"/", None, 0x20 | 0x1000, None)
    for path in ("/x", "/usr/x", "/etc/x"):
        try:
            open(path, "w").close()
            pwned(f"wrote {path}")
        except OSError:
            pass


def enter_a_new_user_namespace(arena):
    """Become root in a user namespace of one's own: unshare, clone and clone3."""
    if call("unshare", 0x10000000) == 0:
        pwned("unshare")
    if number("clone") and call("syscall", number("clone"), 0x10000000 | 17, 0, 0, 0, 0) >= 0:
        pwned("clone")
    args = ctypes.create_string_buffer(struct.pack("QQQQQQQQ", 0x10000000, 0, 0, 0, 17, 0, 0, 0), 88)
    result = call("syscall", 435, args, 64)
    if result == 0:
        os._exit(0)
    if result > 0:
        pwned("clone3")


def join_the_namespaces_of_process_1(arena):
    """setns to whatever /proc shows."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            for kind in ("mnt", "net", "pid", "user"):
                try:
                    descriptor = os.open(f"/proc/{name}/ns/{kind}", os.O_RDONLY)
                except OSError:
                    continue
                if call("setns", descriptor, 0) == 0 and kind != "user":
                    pwned(f"setns {kind} of {name}")


def chroot_and_climb(arena):
    """The classical way out of a directory."""
    os.mkdir("jail")
    if call("chroot", b"jail") == 0:
        pwned("chroot")


def become_root(arena):
    """setuid, capset, a set-user-id program."""
    for name, arguments in (("setuid", (0,)), ("setresuid", (0, 0, 0)), ("setgid", (0,))):
        if os.getuid() and call(name, *arguments) == 0:
            pwned(name)
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(("CapEff", "CapPrm", "CapInh", "CapAmb")) and int(line.split()[1], 16):
                pwned(line.strip())
    if os.path.exists("/usr/bin/su"):
        os.system("echo | su -c 'echo PWNED: su' 2>/dev/null")


def write_kernel_settings(arena):
    """Files of /proc/sys and friends that change the machine. Opened, never written."""
    for path in (
        *("/proc/sys/kernel/core_pattern", "/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/hostname"),
        *("/proc/sysrq-trigger", "/proc/sys/kernel/modprobe", "/proc/sys/net/ipv4/ip_forward", "/proc/1/oom_score_adj"),
        *(
            "/sys/kernel/mm/transparent_hugepage/enabled",
            "/sys/fs/cgroup/cgroup.procs",
            "/proc/irq/default_smp_affinity",
        ),
    ):
        try:
            os.close(os.open(path, os.O_WRONLY))
        except OSError:
            continue
        if os.stat(path).st_rdev != os.stat("/dev/null").st_rdev:
            pwned(f"opened {path} for writing")


def read_kernel_memory(arena):
    """Memory and symbols of the kernel."""
    for path in ("/proc/kcore", "/dev/mem", "/dev/kmem", "/dev/port", "/proc/kallsyms", "/dev/kmsg", "/proc/kmsg"):
        try:
            with open(path, "rb") as file:
                data = file.read(64)
        except OSError:
            continue
        if data.strip(b"0 \n"):
            pwned(f"read {path}: {data[:16]!r}")


def load_bpf_and_perf(arena):
    """bpf() and perf_event_open()."""
    if call("syscall", number("bpf"), 0, ctypes.create_string_buffer(128), 128) >= 0:
        pwned("bpf")
    attributes = ctypes.create_string_buffer(struct.pack("II", 1, 112), 112)
    if call("syscall", number("perf_event_open"), attributes, 0, -1, -1, 0) >= 0:
        pwned("perf")


def open_userfaultfd_and_io_uring(arena):
    """Two favourites of kernel exploits."""
    if call("syscall", number("userfaultfd"), 1) >= 0:
        pwned("userfaultfd")
    if call("syscall", 425, 4, ctypes.create_string_buffer(120)) >= 0:
        pwned("io_uring")


def read_the_keyring(arena):
    """A key that the caller's session holds."""
    found = call("syscall", number("request_key"), b"user", arena["key"].encode(), None, 0)
    buffer = ctypes.create_string_buffer(256)
    if found > 0:
        call("syscall", number("keyctl"), 11, found, buffer, 256)
        pwned(f"key {buffer.value!r}")
    if call("syscall", number("add_key"), b"user", b"left-behind", b"x", 1, -4) > 0:
        pwned("left a key in the user's keyring")


def open_files_by_handle(arena):
    """The way past mount namespaces for who may read everything."""
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 136)
    identity = ctypes.c_int()
    if call("name_to_handle_at", -100, b"/usr", handle, ctypes.byref(identity), 0) == 0:
        directory = os.open("/usr", os.O_RDONLY)
        if call("open_by_handle_at", directory, handle, 0) >= 0:
            pwned("open_by_handle_at")


def trace_process_1(arena):
    """ptrace, process_vm_readv, /proc/1/mem, pidfd_getfd."""
    if call("ptrace", 16, 1, 0, 0) == 0:
        pwned("ptrace attach")
    local, remote = ctypes.create_string_buffer(16), struct.pack("QQ", 0x400000, 16)
    buffer = ctypes.create_string_buffer(remote)
    here = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(local), 16))
    if call("process_vm_readv", 1, here, 1, buffer, 1, 0) > 0:
        pwned("process_vm_readv")
    for name in ("mem", "environ", "maps"):
        try:
            with open(f"/proc/1/{name}", "rb") as file:
                if name != "mem" and file.read(16):
                    pwned(f"/proc/1/{name}")
                elif name == "mem":
                    pwned("/proc/1/mem opened")
        except OSError:
            pass
    try:
        descriptor = os.pidfd_open(1)
    except OSError:
        return
    for target in range(3, 30):
        if call("syscall", 438, descriptor, target, 0) >= 0:
            pwned("pidfd_getfd")


def use_ports_and_segments(arena):
    """ioperm, iopl, modify_ldt, personality."""
    if platform.machine() == "x86_64":
        for name, arguments in (("ioperm", (0, 1, 1)), ("iopl", (3,))):
            if call(name, *arguments) == 0:
                pwned(name)
    if call("personality", 0x0040000) == 0:
        pwned("personality")


def change_name_and_clock(arena):
    """The host's name and time."""
    if call("sethostname", b"pwned", 5) == 0:
        pwned("sethostname")
    now = ctypes.create_string_buffer(struct.pack("qq", 1, 0))
    if call("clock_settime", 0, now) == 0:
        pwned("clock_settime")


def load_a_module(arena):
    """Kernel modules, swap, reboot: asked in a way that could not succeed in full."""
    for name, arguments in (
        ("finit_module", (-1, b"", 0)),
        ("kexec_load", (0, 0, 0, 0xFFFF0000)),
        ("swapon", (b"/nonexistent", 0)),
        ("acct", (b"/nonexistent",)),
    ):
        if number(name):
            ctypes.set_errno(0)
            call("syscall", number(name), *arguments)
            if ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS):
                pwned(f"{name} was heard: errno {ctypes.get_errno()}")


def call_by_foreign_numbers(arena):
    """The x32 numbers of system calls, which filters forget."""
    if platform.machine() == "x86_64" and call("syscall", 0x40000000 + 39) > 0:
        pwned("x32 getpid")


def call_through_the_32_bit_gate(arena):
    """int 0x80 from 64-bit code: other numbers for the same calls."""
    if platform.machine() != "x86_64":
        return
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20 (getpid); int 0x80; ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    if ctypes.CFUNCTYPE(ctypes.c_int)(address)() > 0:
        pwned("int 0x80 getpid")


def make_device_nodes(arena):
    """mknod for the disk, and nodes that may lie about."""
    for kind, device in ((0o060000, os.makedev(254, 0)), (0o060000, os.makedev(8, 0)), (0o020000, os.makedev(1, 1))):
        try:
            os.mknod(f"node-{device}", 0o600 | kind, device)
            pwned(f"made a device node {device}")
        except OSError:
            pass
    for name in os.listdir("/dev"):
        path = f"/dev/{name}"
        if name.startswith(("sd", "vd", "nvme", "loop", "dm-", "mem", "kvm", "fuse", "net", "vhost")):
            pwned(f"sees {path}")


def inject_into_a_terminal(arena):
    """TIOCSTI: type commands into the terminal of the caller."""
    for descriptor in (0, 1, 2):
        import fcntl

        try:
            fcntl.ioctl(descriptor, 0x5412, b"x")
            pwned("TIOCSTI on an inherited terminal")
        except OSError:
            pass
    _, slave = os.openpty()
    try:
        import fcntl

        fcntl.ioctl(slave, 0x5412, b"x")
        pwned("TIOCSTI")
    except OSError:
        pass


def open_exotic_sockets(arena):
    """Address families that know no network namespace, or give raw access."""
    for name, family, kind, protocol in (
        ("vsock", 40, socket.SOCK_STREAM, 0),
        ("raw", socket.AF_INET, socket.SOCK_RAW, 1),
        ("packet", 17, socket.SOCK_RAW, 3),
        ("alg", 38, socket.SOCK_SEQPACKET, 0),
        ("netlink netfilter", 16, socket.SOCK_RAW, 12),
        ("netlink audit", 16, socket.SOCK_RAW, 9),
        ("bluetooth", 31, socket.SOCK_RAW, 1),
        ("can", 29, socket.SOCK_RAW, 1),
        ("tipc", 30, socket.SOCK_STREAM, 0),
        ("rds", 21, socket.SOCK_SEQPACKET, 0),
        ("xdp", 44, socket.SOCK_RAW, 0),
        ("qipcrtr", 42, socket.SOCK_DGRAM, 0),
    ):
        try:
            socket.socket(family, kind, protocol).close()
            pwned(name)
        except OSError:
            pass


def look_at_cgroups(arena):
    """Leave one's group, or lift its limits."""
    for folder in ("/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"):
        for name in ("cgroup.procs", "memory.limit_in_bytes", "memory.max", "release_agent"):
            try:
                os.close(os.open(f"{folder}/{name}", os.O_WRONLY))
                pwned(f"{folder}/{name}")
            except OSError:
                pass


def raise_limits_and_priority(arena):
    """Hard limits, niceness, real-time scheduling, the score of the out-of-memory killer."""
    import resource

    for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        try:
            resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            pwned(f"limit {kind}")
        except (ValueError, OSError):
            pass
    for action in (lambda: os.nice(-10), lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))):
        try:
            action()
            pwned("priority")
        except OSError:
            pass
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("-1000")
        pwned("oom_score_adj")
    except OSError:
        pass


if __name__ == "__main__":
    run_named(globals())
