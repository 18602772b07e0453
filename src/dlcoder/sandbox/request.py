"""From a job to the plain request that the supervisor of its run understands."""

import os
from pathlib import Path
from typing import Any

from dlcoder.errors import UserError
from dlcoder.sandbox import layers, scratch
from dlcoder.sandbox.interpreters import Interpreter
from dlcoder.sandbox.jail import mounts
from dlcoder.sandbox.jobs import Job, Limits

_HERE = Path(__file__).parent
CODE = (str(_HERE / "jail"), str(_HERE / "harness"))
PRIVATE = (mounts.WORK, "/tmp", "/dev/shm")
HARNESS = "import sys; sys.path.insert(0, sys.argv.pop(1)); from harness.channel import main; main()"
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/proc", "/dev")
_MOST_SHM = 1 << 30
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Many small runs on few cores: threads that wait by spinning are what makes them slow."""


def build(job: Job, interpreter: Interpreter, machine: layers.Machine, folder: Path, native: bool) -> dict[str, Any]:
    """Describe the run of `job`.

    Args:
        job: What to run.
        interpreter: Which Python runs it.
        machine: Which walls there are.
        folder: An empty host directory of the run's own.
        native: Whether our own system calls make the namespaces (a warm run), not bubblewrap.

    Raises:
        UserError: A directory is missing, or must not be shown to a program.
    """
    required = layers.canonical(job.require)
    layers.check(machine, required, job.allow_weaker)
    mode = "native" if native and machine.mode == "bubblewrap" else machine.mode
    plain = mode == "plain"
    user = layers.private_user()
    workdir = _directory(job.workdir, "workdir") if job.workdir is not None else None
    shown = _visible(job, interpreter, workdir)
    if plain and not all(map(_open_to_others, (*shown, *map(Path, CODE)))):
        user = 0  # nobody but us could reach the interpreter at its own place
    request: dict[str, Any] = {
        "mode": mode,
        "bubblewrap": machine.bubblewrap,
        "python": str(interpreter.path),
        "code_home": str(code_home()),
        "nproc": job.nproc,
        "harness": job.harness.decode() if job.harness is not None else None,
        "gpu": job.gpu,
        "limits": _limits(job.limits),
        "drop_to": user,
        "landlock": machine.has("landlock"),
        "seccomp": machine.has("seccomp"),
        "require": required,
        "workdir": str(workdir) if workdir else None,
        "collect_to": None,
        "private": [] if plain else list(PRIVATE),
    }
    if job.collect:
        target = (job.collect_to or folder / "work").resolve()
        target.mkdir(parents=True, exist_ok=True)
        request["collect_to"] = str(target)
    request["layout"] = _layout(job, shown, workdir, user)
    _place(request, folder, shown)
    request["env"] = _environment(job, interpreter, "/tmp" if not plain else request["plain_tmp"])
    request["argv"] = _words(job, interpreter, workdir, request)
    return request


def code_home() -> Path:
    """The directory that holds `jail` and `harness` and nothing else, at the same place inside and outside."""
    home = scratch.shared("code")
    for source in CODE:
        link = home / Path(source).name
        if not link.is_symlink():
            link.symlink_to(source)
    return home


def _limits(limits: Limits) -> dict[str, float]:
    memory = limits.memory_mb << 20
    return {
        "timeout_s": limits.timeout_s,
        "memory_bytes": memory,
        "processes": limits.processes,
        "disk_bytes": limits.disk_mb << 20,
        "shm_bytes": max(16 << 20, min(memory // 2, _MOST_SHM)),
        "output_bytes": limits.output_bytes,
    }


def _layout(job: Job, shown: list[Path], workdir: Path | None, user: int) -> dict[str, Any]:
    limits = _limits(job.limits)
    sizes = {
        mounts.WORK: limits["disk_bytes"],
        "/tmp": limits["disk_bytes"],
        "/dev/shm": limits["shm_bytes"],
    }
    return {
        "read_only": [str(path) for path in shown],
        "code": list(CODE),
        "code_home": str(code_home()),
        "sizes": sizes,
        "uid": user or mounts.USER_ID,
        "gid": user or mounts.USER_ID,
        "alias": str(workdir) if workdir else "",
        "gpu": job.gpu,
    }


def _place(request: dict[str, Any], folder: Path, shown: list[Path]) -> None:
    """Say what may be read and written; without namespaces, make the directories that stand in for private ones."""
    if request["mode"] != "plain":
        request.update(readable=["/"], writable=[mounts.WORK, "/tmp", "/dev"], plain_work="")
        return
    work, temporary = folder / "plain" / "box", folder / "plain" / "tmp"
    for path in (work, temporary):
        path.mkdir(parents=True)
    for path in (folder, folder / "plain"):
        path.chmod(0o711)
    if request["drop_to"]:
        os.chown(temporary, request["drop_to"], request["drop_to"])
    readable = [*_SYSTEM, *CODE, request["code_home"], *map(str, shown)]
    request.update(readable=readable, writable=[str(work), str(temporary), "/dev/null"])
    request.update(plain_work=str(work), plain_tmp=str(temporary))


def _environment(job: Job, interpreter: Interpreter, home: str) -> dict[str, str]:
    return {
        "PATH": f"{interpreter.path.parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": home,
        "TMPDIR": home,
        "USER": "sandbox",
        "LOGNAME": "sandbox",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        # What a killed program has printed must not be lost; nothing but outputs should be left in its directory.
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **THREADS,
        # Loopback is the only interface.
        "GLOO_SOCKET_IFNAME": "lo",
        "NCCL_SOCKET_IFNAME": "lo",
        "TP_SOCKET_IFNAME": "lo",
        **job.env,
    }


def _visible(job: Job, interpreter: Interpreter, workdir: Path | None) -> list[Path]:
    shown = [*interpreter.prefixes, *(_directory(path, "read_only") for path in job.read_only)]
    script = _script(job.argv)
    if script is not None and script.is_absolute() and script.is_file():
        inside = (workdir is not None and script.is_relative_to(workdir)) or any(
            script.is_relative_to(p) for p in shown
        )
        if not inside:
            shown.append(script)
    for path in shown:
        _guard(path)
    return list(dict.fromkeys(shown))


def _script(argv: tuple[str, ...]) -> Path | None:
    """The file that a Python command runs, if it runs one."""
    if not argv or Path(argv[0]).name not in ("python", "python3"):
        return None
    words = iter(argv[1:])
    for word in words:
        if word in ("-c", "-m"):
            return None
        if word in ("-W", "-X"):
            next(words, None)
        elif not word.startswith("-"):
            return Path(word)
    return None


def _open_to_others(path: Path) -> bool:
    """Whether any user may enter all directories above `path`."""
    return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)


def _directory(path: Path, name: str) -> Path:
    resolved = Path(path).resolve()
    if not resolved.exists():
        raise UserError(f"{name} {str(path)!r} does not exist.", "Name an existing directory.")
    if name == "workdir" and not resolved.is_dir():
        raise UserError(f"{name} {str(path)!r} is not a directory.", "Name an existing directory.")
    if name == "workdir":
        _guard(resolved)
    return resolved


def _guard(path: Path) -> None:
    """Refuse to show a program more than anybody can have meant.

    Raises:
        UserError: The path is the home directory or above it, or a directory of the system's own.
    """
    home = Path(os.path.expanduser("~")).resolve()  # noqa: PTH111 (Path.home raises where there is none)
    special = any(path.is_relative_to(p) for p in ("/proc", "/sys", "/dev"))
    if path == Path("/") or home.is_relative_to(path) or special:
        raise UserError(
            f"{str(path)!r} must not be visible in the sandbox: it holds the home directory or the system's state.",
            "Name the directory of the project itself.",
        )


def _words(job: Job, interpreter: Interpreter, workdir: Path | None, request: dict[str, Any]) -> list[str]:
    if job.harness is not None:
        return [str(interpreter.path), "-I", "-c", HARNESS, request["code_home"]]
    if not job.argv:
        raise UserError("There is no program to run.", "Give a command, such as python train.py.")
    first = str(interpreter.path) if job.argv[0] in ("python", "python3") else job.argv[0]
    if workdir is None:
        return [first, *job.argv[1:]]
    work = request["plain_work"] or mounts.WORK
    return [_inside(word, str(workdir), work) for word in (first, *job.argv[1:])]


def _inside(word: str, workdir: str, work: str) -> str:
    """A host path of the work directory as it is called in the sandbox, also behind `--option=`."""
    option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
    if value == workdir or value.startswith(workdir + "/"):
        return option + equals + work + value[len(workdir) :]
    return word
