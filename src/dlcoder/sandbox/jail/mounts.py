"""The file system that a program sees: described once, built by bubblewrap or by our own system calls."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path

from . import kernel

WORK = "/box"
"""Where the work directory lies in the sandbox."""
WORK_ALIAS = "/work"
USER_ID = 1000
"""Who a program believes to be where it runs in a user namespace."""

_NODES = ("null", "zero", "full", "random", "urandom")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
_MASKED_FILES = (
    *("kallsyms", "kcore", "keys", "key-users", "kmsg", "sysrq-trigger", "modules", "timer_list", "sched_debug"),
    *("sys/kernel/random/boot_id", "config.gz", "kpagecount", "kpageflags", "kpagecgroup", "cmdline"),
)
_MASKED_FOLDERS = ("acpi", "bus", "fs", "scsi", "asound", "tty")
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")
_GPU_NODES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "kfd", "dri", "nvidia-caps")


class Layout:
    """What a run can see.

    Attributes:
        read_only: Host paths, visible at their own place.
        code: Host directories that appear below `code_home`, under their own last name.
        sizes: Bytes of the private file systems by path.
        uid, gid: Who the program is (inside).
        alias: A host path that leads to the work directory, too.
        gpu: Whether GPU devices and /sys are visible.
    """

    def __init__(
        self,
        read_only: list[str],
        code: list[str],
        code_home: str,
        sizes: dict[str, int],
        uid: int,
        gid: int,
        alias: str = "",
        gpu: bool = False,
    ) -> None:
        self.read_only = read_only
        self.code = code
        self.code_home = code_home
        self.sizes = sizes
        self.uid = uid
        self.gid = gid
        self.alias = alias
        self.gpu = gpu

    def binds(self) -> list[str]:
        """The host paths to bind, without those that lie in another."""
        chosen: list[str] = []
        wanted = [p for p in _SYSTEM if os.path.isdir(p) and not os.path.islink(p)]
        for path in sorted({*wanted, *self.read_only, *filter(os.path.exists, _SYSTEM_FILES)}):
            if not any(path == other or path.startswith(other + "/") for other in chosen):
                chosen.append(path)
        return chosen

    def links(self) -> dict[str, str]:
        """Symbolic links by their place."""
        links = {p: os.readlink(p) for p in _SYSTEM if os.path.islink(p)}
        for place in filter(None, (self.alias, WORK_ALIAS)):
            taken = any(
                _overlap(place, other) for other in (*self.binds(), WORK, self.code_home, "/proc", "/dev", "/etc")
            )
            if not taken and place != "/tmp":
                links[place] = WORK
        return links

    def texts(self) -> dict[str, str]:
        """Small files by their place: an /etc of our own."""
        return {
            "/etc/passwd": f"root:x:0:0:root:/:/bin/false\nsandbox:x:{self.uid}:{self.gid}:sandbox:/tmp:/bin/sh\n",
            "/etc/group": f"root:x:0:\nsandbox:x:{self.gid}:\n",
            "/etc/hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n::ffff:127.0.0.1 localhost\n",
            "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n",
            "/etc/resolv.conf": "",
            "/etc/machine-id": "0" * 32 + "\n",
            "/etc/hostname": "sandbox\n",
        }

    def devices(self) -> list[str]:
        """GPU device nodes and directories that exist."""
        if not self.gpu:
            return []
        names = [n for n in _GPU_NODES if os.path.exists("/dev/" + n)]
        names += sorted(n for n in os.listdir("/dev") if n.startswith("nvidia") and n[6:].isdigit())
        return ["/dev/" + name for name in names]

    def parents(self, paths: list[str]) -> list[str]:
        """The directories that must be made for `paths`, outermost first."""
        needed: set[str] = set()
        for path in paths:
            needed.update(str(parent) for parent in Path(path).parents)
        return sorted(needed - {"/", "/dev", "/proc", "/tmp", "/dev/shm", *self.binds()})


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(other + "/") or other.startswith(one + "/")


def _masked() -> tuple[list[str], list[str]]:
    files = [f"/proc/{name}" for name in _MASKED_FILES if os.path.isfile(f"/proc/{name}")]
    return files, [f"/proc/{name}" for name in _MASKED_FOLDERS if os.path.isdir(f"/proc/{name}")]


def bubblewrap(layout: Layout, program: str, privileged: bool) -> tuple[list[str], list[int]]:
    """The command line of bubblewrap for `layout`, up to and without the command that it runs.

    Returns:
        The words, and the descriptors that must stay open in it.
    """
    words = [program, *_namespaces(layout, privileged), "--proc", "/proc", "--dev", "/dev"]
    words += ["--size", str(layout.sizes["/tmp"]), "--perms", "1777", "--tmpfs", "/tmp"]
    words += ["--size", str(layout.sizes["/dev/shm"]), "--perms", "1777", "--tmpfs", "/dev/shm"]
    binds, links, texts = layout.binds(), layout.links(), layout.texts()
    for folder in layout.parents([*binds, *links, *texts, layout.code_home + "/x", WORK]):
        words += ["--perms", "0755", "--dir", folder]
    for path in binds:
        words += ["--ro-bind", path, path]
    for path in layout.code:
        words += ["--ro-bind", path, f"{layout.code_home}/{os.path.basename(path)}"]
    words += ["--size", str(layout.sizes[WORK]), "--perms", "0755", "--tmpfs", WORK]
    descriptors = []
    for place, text in texts.items():
        descriptors.append(_as_file(text))
        words += ["--perms", "0644", "--file", str(descriptors[-1]), place]
    for place, goal in links.items():
        words += ["--symlink", goal, place]
    words += [*_devices_and_masks(layout), "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", WORK]
    return words, descriptors


def _namespaces(layout: Layout, privileged: bool) -> list[str]:
    words = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    words += ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--clearenv", "--as-pid-1"]
    words += ["--cap-drop", "ALL"]
    if not privileged:
        return [*words, "--unshare-user", "--uid", str(layout.uid), "--gid", str(layout.gid)]
    for capability in ("SETUID", "SETGID", "SETPCAP", "CHOWN"):
        words += ["--cap-add", "CAP_" + capability]
    return words


def _devices_and_masks(layout: Layout) -> list[str]:
    words: list[str] = []
    for device in layout.devices():
        words += ["--dev-bind-try", device, device]
    if layout.gpu:
        words += ["--ro-bind", "/sys", "/sys"]
    files, folders = _masked()
    for path in files:
        words += ["--ro-bind", "/dev/null", path]
    for path in folders:
        words += ["--size", "4096", "--tmpfs", path, "--remount-ro", path]
    return words


def _as_file(text: str) -> int:
    descriptor = os.memfd_create("etc")
    os.write(descriptor, text.encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.set_inheritable(descriptor, True)
    return descriptor


def enter_namespaces(privileged: bool, uid: int, gid: int) -> None:
    """Leave every namespace of the host; the next child is process 1 of the new ones and calls `build`."""
    flags = kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
    outside_uid, outside_gid = os.geteuid(), os.getegid()
    if privileged:
        kernel.unshare(flags)
    else:
        kernel.unshare(flags | kernel.CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {outside_uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {outside_gid} 1")
    with contextlib.suppress(OSError):
        kernel.unshare(kernel.CLONE_NEWCGROUP)


def build(layout: Layout) -> None:
    """Build `layout` in the caller's fresh namespaces and make it the root. The caller is process 1."""
    kernel.raise_loopback()
    os.umask(0o022)
    socket.sethostname("sandbox")
    # Links are followed while they lead where they should.
    binds = {path: os.path.realpath(path) for path in layout.binds()}
    links, devices, masked = layout.links(), layout.devices(), _masked()
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    # Two turns, as the host's own /tmp must stay reachable while the new root is filled.
    base = "/tmp"
    kernel.mount("tmpfs", base, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=755")
    os.mkdir(base + "/old", 0o755)
    os.mkdir(base + "/new", 0o755)
    kernel.pivot_root(base, base + "/old")
    os.chdir("/")
    _tmpfs("/new", 16 << 20, 0o755)
    _populate(layout, binds, links)
    _populate_dev(layout, devices)
    os.chdir("/new")
    kernel.pivot_root(".", ".")
    kernel.unmount(".")
    os.chdir("/")
    _cover_proc(*masked)
    _remount_read_only("/dev")
    _remount_read_only("/")
    os.chdir(WORK)


def _populate(layout: Layout, binds: dict[str, str], links: dict[str, str]) -> None:
    root, texts = "/new", layout.texts()
    for folder in ("/proc", "/dev", "/tmp"):
        os.mkdir(root + folder, 0o755)
    _tmpfs(root + "/tmp", layout.sizes["/tmp"], 0o1777)
    for folder in layout.parents([*binds, *links, *texts, layout.code_home + "/x", WORK + "/x"]):
        os.makedirs(root + folder, 0o755, exist_ok=True)
    for path, source in binds.items():
        _bind("/old" + source, root + path)
    for path in layout.code:
        _bind("/old" + path, f"{root}{layout.code_home}/{os.path.basename(path)}")
    _tmpfs(root + WORK, layout.sizes[WORK], 0o755)
    for place, text in texts.items():
        Path(root + place).write_text(text)
    for place, goal in links.items():
        os.symlink(goal, root + place)
    # Made while the host's own proc is still in sight: without that, a user namespace may not have one.
    kernel.mount("proc", root + "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)


def _populate_dev(layout: Layout, devices: list[str]) -> None:
    root = "/new"
    _tmpfs(root + "/dev", 1 << 20, 0o755)
    for name in _NODES:
        _bind_node(f"/old/dev/{name}", f"{root}/dev/{name}")
    for name, goal in _LINKS.items():
        os.symlink(goal, f"{root}/dev/{name}")
    os.mkdir(root + "/dev/shm")
    _tmpfs(root + "/dev/shm", layout.sizes["/dev/shm"], 0o1777)
    os.mkdir(root + "/dev/pts", 0o755)
    with contextlib.suppress(OSError):
        options = "newinstance,ptmxmode=0666,mode=620"
        kernel.mount("devpts", root + "/dev/pts", "devpts", kernel.MS_NOSUID | kernel.MS_NOEXEC, options)
        os.symlink("pts/ptmx", root + "/dev/ptmx")
    for device in devices:
        _bind_node("/old" + device, root + device)
    if layout.gpu:
        os.mkdir(root + "/sys", 0o755)
        _bind("/old/sys", root + "/sys")


def _tmpfs(target: str, size: int, mode: int) -> None:
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("tmpfs", target, "tmpfs", flags, f"size={size},mode={mode:o},nr_inodes={max(4096, size >> 12)}")


def _bind(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, 0o755, exist_ok=True)
    else:
        Path(target).touch()
    kernel.mount(source, target, None, kernel.MS_BIND | kernel.MS_REC)
    kernel.make_read_only(target)


def _bind_node(source: str, target: str) -> None:
    if stat.S_ISDIR(os.stat(source).st_mode):
        os.mkdir(target, 0o755)
    else:
        Path(target).touch()
    kernel.mount(source, target, None, kernel.MS_BIND | kernel.MS_REC)


def _cover_proc(files: list[str], folders: list[str]) -> None:
    for path in files:
        kernel.mount("/dev/null", path, None, kernel.MS_BIND)
    for path in folders:
        kernel.mount("tmpfs", path, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_RDONLY, "size=4096")
    flags = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    for path in filter(os.path.isdir, ("/proc/sys", "/proc/irq")):
        kernel.mount(path, path, None, kernel.MS_BIND | kernel.MS_REC)
        kernel.mount(None, path, None, kernel.MS_REMOUNT | kernel.MS_BIND | flags)


def _remount_read_only(target: str) -> None:
    flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount(None, target, None, flags)
