"""The machine and what this process may use of it, from /proc, /sys and the system calls that need no privilege."""

import os
import platform
import resource
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from dlcoder.environment.model import Disk, Limits, Scheduler
from dlcoder.text import clean

_GIB = 2**30
# A cgroup of version 1 says "no limit" with the largest multiple of a page below 2**63.
_NO_LIMIT = 2**60
# Settings whose values are no secrets and change how training runs.
_SETTINGS = (
    "CUDA_VISIBLE_DEVICES",
    "CUDA_LAUNCH_BLOCKING",
    "NVIDIA_VISIBLE_DEVICES",
    "CUDA_HOME",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "PYTHONPATH",
    "PYTHONOPTIMIZE",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_ALLOC_CONF",
    "TORCH_DISTRIBUTED_DEBUG",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "GLOO_SOCKET_IFNAME",
    "MASTER_ADDR",
    "MASTER_PORT",
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
)
_JOB_VALUES = (
    "SLURM_JOB_ID",
    "SLURM_JOB_PARTITION",
    "SLURM_JOB_NUM_NODES",
    "SLURM_NTASKS",
    "SLURM_CPUS_PER_TASK",
    "SLURM_GPUS_ON_NODE",
    "SLURM_MEM_PER_NODE",
    "SLURM_JOB_END_TIME",
    "SLURM_RESTART_COUNT",
)
_SERVICE_ACCOUNT = "var/run/secrets/kubernetes.io/serviceaccount"
_SCHEDULERS = {
    "Slurm": ("SLURM_",),
    "Kubernetes": ("KUBERNETES_",),
    "torchrun": ("TORCHELASTIC_",),
    "LSF": ("LSB_",),
    "PBS": ("PBS_",),
    "Grid Engine": ("SGE_",),
    "Open MPI": ("OMPI_",),
}


def system() -> str:
    """The operating system, its kernel and the processor's architecture."""
    return clean(f"{platform.system()} {platform.release()} {platform.machine()}", 120)


def container(environ: Mapping[str, str], root: Path = Path("/")) -> str:
    """What kind of container this is; empty for none that can be told."""
    if "KUBERNETES_SERVICE_HOST" in environ or (root / _SERVICE_ACCOUNT).is_dir():
        return "Kubernetes"
    if (root / ".dockerenv").exists():
        return "Docker"
    if (root / "run/.containerenv").exists():
        return "Podman"
    if any((root / name).exists() for name in (".singularity.d", ".apptainer.d")):
        return "Apptainer"
    if "microsoft" in _read(root / "proc/sys/kernel/osrelease").lower():
        return "WSL"
    return "container" if environ.get("container") else ""


def scheduler(environ: Mapping[str, str], root: Path = Path("/")) -> Scheduler:
    """Who started this process, judged by the names of its variables, and what it was given."""
    for name, prefixes in _SCHEDULERS.items():
        found = sorted(variable for variable in environ if variable.startswith(prefixes))
        if found or (name == "Kubernetes" and (root / _SERVICE_ACCOUNT).is_dir()):
            values = {variable: clean(environ[variable], 80) for variable in _JOB_VALUES if variable in environ}
            if name == "Kubernetes":
                values |= _pod(environ, root)
            return Scheduler(name=name, variables=found[:20], values=values)
    return Scheduler()


def _pod(environ: Mapping[str, str], root: Path) -> dict[str, str]:
    """The names of this pod and its name space, by which its events and limits are looked up."""
    space = _read(root / _SERVICE_ACCOUNT / "namespace")
    found = {"pod": environ.get("HOSTNAME", ""), "namespace": space}
    return {name: clean(value, 80) for name, value in found.items() if value}


def settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that change how training runs, with their values."""
    chosen = [name for name in environ if name in _SETTINGS or name.startswith(("NCCL_", "TORCH_NCCL_"))]
    return {name: clean(environ[name], 200) for name in sorted(chosen)}


def limits(directories: Iterable[Path], root: Path = Path("/")) -> Limits:
    """What this process may use, and how full the file systems behind `directories` are."""
    memory = _meminfo(root)
    total, available = memory.get("MemTotal"), memory.get("MemAvailable")
    bound = _smallest(_cgroup_numbers(root, "memory", "memory.max", "memory.limit_in_bytes"))
    if bound is not None and total is not None and bound >= total:
        bound = None
    if bound is not None and available is not None:
        available = min(available, max(bound - _cgroup_memory_used(root), 0))
    shm = _usage(root / "dev/shm")
    address_space = _rlimit(resource.RLIMIT_AS)
    locked = _rlimit(resource.RLIMIT_MEMLOCK)
    return Limits(
        cpus=os.cpu_count() or 1,
        cpus_usable=_usable_cpus(root),
        memory_total_gib=_gib(total),
        memory_available_gib=_gib(available),
        memory_limit_gib=_gib(bound),
        oom_kills=_oom_kills(root),
        shm_mib=shm[0] >> 20 if shm else None,
        shm_free_mib=shm[1] >> 20 if shm else None,
        open_files=_rlimit(resource.RLIMIT_NOFILE),
        locked_memory_kib=locked >> 10 if locked is not None else None,
        processes=_smallest([_rlimit(resource.RLIMIT_NPROC), *_cgroup_numbers(root, "pids", "pids.max", "pids.max")]),
        address_space_mib=address_space >> 20 if address_space is not None else None,
        disks=disks([*directories, Path(tempfile.gettempdir())], root),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _gib(size: int | None) -> float | None:
    return None if size is None else round(size / _GIB, 1)


def _rlimit(which: int) -> int | None:
    soft = resource.getrlimit(which)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def _smallest(numbers: Iterable[int | None]) -> int | None:
    return min((n for n in numbers if n is not None), default=None)


def _meminfo(root: Path) -> dict[str, int]:
    lines = (line.split() for line in _read(root / "proc/meminfo").splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) > 1 and words[1].isdigit()}


def _cgroups(root: Path, controller: str) -> list[tuple[Path, int]]:
    """The directories of this process's control groups, innermost first, each with its version."""
    found = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        hierarchy, controllers, path = line.split(":", 2)
        version = 2 if hierarchy == "0" else 1
        if version == 1 and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / (controllers if version == 1 else "")
        if version == 1 and not top.exists():
            top = root / "sys/fs/cgroup" / controller
        here = top / path.lstrip("/")
        # Inside a container the path may be the host's, of which only the top is mounted.
        inside = [folder for folder in (here, *here.parents) if folder.is_relative_to(top)]
        found += [(folder, version) for folder in inside if folder.is_dir()]
    return found


def _cgroup_numbers(root: Path, controller: str, v2: str, v1: str) -> list[int | None]:
    texts = [_read(folder / (v2 if version == 2 else v1)) for folder, version in _cgroups(root, controller)]
    return [int(text) for text in texts if text.isdigit() and int(text) < _NO_LIMIT]


def _cgroup_memory_used(root: Path) -> int:
    """What the innermost cgroup holds, without the file cache that the kernel drops on demand."""
    for folder, version in _cgroups(root, "memory"):
        used = _read(folder / ("memory.current" if version == 2 else "memory.usage_in_bytes"))
        if used.isdigit():
            stat = dict(line.split() for line in _read(folder / "memory.stat").splitlines() if line.count(" ") == 1)
            cache = stat.get("inactive_file" if version == 2 else "total_inactive_file", "0")
            return max(int(used) - int(cache), 0)
    return 0


def _oom_kills(root: Path) -> int | None:
    for folder, version in _cgroups(root, "memory"):
        text = _read(folder / ("memory.events" if version == 2 else "memory.oom_control"))
        counts = [line.split()[1] for line in text.splitlines() if line.startswith("oom_kill ")]
        if counts and counts[0].isdigit():
            return int(counts[0])
    return None


def _usable_cpus(root: Path) -> float:
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [float(affinity)]
    for folder, version in _cgroups(root, "cpu"):
        if version == 2:
            quota, _, period = _read(folder / "cpu.max").partition(" ")
        else:
            quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            quotas.append(int(quota) / int(period))
    return round(min(quotas), 2)


def _usage(path: Path) -> tuple[int, int] | None:
    """Total and free bytes of the file system behind `path`."""
    try:
        stat = os.statvfs(path)
    except OSError:
        return None
    return stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize


def disks(directories: Iterable[Path], root: Path = Path("/")) -> list[Disk]:
    """The file systems behind `directories`, each once."""
    mounts = _mounts(root)
    found: dict[tuple[str, float | None], Disk] = {}
    for directory in directories:
        path = next((p for p in (directory, *directory.parents) if p.exists()), None)
        if path is None or (usage := _usage(path)) is None:
            continue
        mount = max((m for m in mounts if path.is_relative_to(m)), key=lambda m: len(m.parts), default=Path("/"))
        stat = os.statvfs(path)
        inodes = round(100 * stat.f_favail / stat.f_files, 1) if stat.f_files else None
        disk = Disk(
            path=str(directory),
            type=mounts.get(mount, ""),
            total_gib=_gib(usage[0]),
            free_gib=_gib(usage[1]),
            inodes_free_percent=inodes,
        )
        found.setdefault((str(mount), disk.total_gib), disk)
    return list(found.values())


def _mounts(root: Path) -> dict[Path, str]:
    """Mount point to type of file system; the last mount on a point is the one that shows."""
    mounts = {}
    for line in _read(root / "proc/self/mounts").splitlines():
        words = line.split()
        if len(words) > 2:
            # Blanks in a path are written as octal escapes.
            mounts[Path(words[1].encode().decode("unicode_escape"))] = words[2]
    return mounts
