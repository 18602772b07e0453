"""What a run depends on beside its code: what a report of a bug needs.

Versions, GPUs, the limits of a container, and variables of the environment. Of these,
only such as runs depend on, and none whose name speaks of a secret.
"""

import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

RELEVANT = re.compile(
    "CUDA_|CUBLAS_|CUDNN_|NVIDIA_|NCCL_|GLOO_|UCX_|FI_|TORCH|PYTORCH_|OMP_|MKL_|"
    "PYTHONHASHSEED|LD_LIBRARY_PATH|RANK|LOCAL_|WORLD_SIZE|MASTER_|SLURM_JOB_ID"
)
"""Beginnings of the variables that a run may depend on."""
SECRET = re.compile("KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH", re.IGNORECASE)
CGROUP = Path("/sys/fs/cgroup")


def environment_report() -> dict[str, Any]:
    """Return plain values, by name; sizes in MiB, None where there is no limit."""
    gpus = range(torch.cuda.device_count())
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node(),
        "gpus": [torch.cuda.get_device_name(index) for index in gpus],
        "gpu_memory": [
            torch.cuda.get_device_properties(index).total_memory >> 20 for index in gpus
        ],
        "driver": _driver(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "nccl": ".".join(map(str, torch.cuda.nccl.version())) if gpus else None,
        "cpus": _cpus(),
        "cpu_limit": cpu_limit(),
        "memory_limit": memory_limit(),
        "shared_memory": _size("/dev/shm"),
        "packages": dict(
            sorted((d.name, d.version) for d in metadata.distributions() if d.name)
        ),
        "environment": {
            name: value
            for name, value in sorted(os.environ.items())
            if RELEVANT.match(name) and not SECRET.search(name)
        },
    }


def cpu_limit(cgroup: Path = CGROUP) -> float | None:
    """Return how many CPUs a container may keep busy, which may be fewer than it sees.

    Args:
        cgroup: Where the limits of this process are.
    """
    quota, period = (*_read(cgroup / "cpu.max").split(), "", "")[:2]
    if not quota:  # The first version of cgroups.
        quota = _read(cgroup / "cpu/cpu.cfs_quota_us")
        period = _read(cgroup / "cpu/cpu.cfs_period_us")
    if not (quota.isdigit() and period.isdigit()):
        return None
    return int(quota) / int(period)


def memory_limit(cgroup: Path = CGROUP) -> int | None:
    """Return the memory that a container may use, in MiB.

    Args:
        cgroup: Where the limits of this process are.
    """
    limit = _read(cgroup / "memory.max")
    limit = limit or _read(cgroup / "memory/memory.limit_in_bytes")
    # The first version writes a number beyond any memory for no limit.
    return int(limit) >> 20 if limit.isdigit() and int(limit) < 2**60 else None


def _cpus() -> int | None:
    """The CPUs that this process may run on, where the system can tell."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _size(folder: str) -> int | None:
    try:
        return shutil.disk_usage(folder).total >> 20
    except OSError:
        return None


def _driver() -> str | None:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.partition("\n")[0] or None
