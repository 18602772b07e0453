"""Limits of the machine and settings that bite."""

import time
from collections.abc import Callable, Iterator

from dlcoder.environment.facts import Facts
from dlcoder.environment.model import Disk, Problem

_SHM_MIB = 1024
_SHM_FREE_MIB = 256
_OPEN_FILES = 4096
_PROCESSES = 1024
_MEMORY_GIB = 2.0
_DISK_GIB = 5.0
_LOCKED_KIB = 1 << 20
_SOON_MINUTES = 30
_REMOTE = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
    "glusterfs",
    "9p",
    "drvfs",
    "afs",
)


def shared_memory(facts: Facts) -> Iterator[Problem]:
    """/dev/shm is small or full."""
    size, free = facts.limits.shm_mib, facts.limits.shm_free_mib
    small = size is not None and size < _SHM_MIB
    if size is None or free is None or not (small or free < _SHM_FREE_MIB):
        return
    fix = {
        "Docker": "docker run --shm-size=8g (or --ipc=host)",
        "Podman": "podman run --shm-size=8g (or --ipc=host)",
        "Kubernetes": "mount an emptyDir with medium: Memory at /dev/shm",
    }.get(facts.container, "sudo mount -o remount,size=8G /dev/shm")
    yield Problem(
        id="shm-too-small",
        severity="risk",
        problem=f"/dev/shm is only {size} MiB."
        if small
        else f"/dev/shm is nearly full: {free} of {size} MiB are free.",
        consequence="DataLoader workers die with a bus error, and NCCL cannot create its segments.",
        fix=f"{fix}; until then num_workers=0 or torch.multiprocessing.set_sharing_strategy('file_system')."
        if small
        else "Remove what dead processes left (ls -l /dev/shm; torch_*, nccl-*), or enlarge it.",
        cause="shm-too-small",
        source="/dev/shm",
    )


def open_files(facts: Facts) -> Iterator[Problem]:
    """The limits on open files, processes and address space."""
    limits = facts.limits
    if limits.open_files is not None and limits.open_files < _OPEN_FILES:
        yield Problem(
            id="open-files-limit",
            severity="risk" if limits.open_files <= 1024 else "note",
            problem=f"At most {limits.open_files} files may be open (ulimit -n).",
            consequence="DataLoader workers pass tensors as open files: 'Too many open files', '0 items of ancdata'.",
            fix="ulimit -n 65535 before the run, or torch.multiprocessing.set_sharing_strategy('file_system').",
            cause="dl-too-many-files",
            source="ulimit -n",
        )
    if limits.processes is not None and limits.processes < _PROCESSES:
        yield Problem(
            id="process-limit",
            severity="risk",
            problem=f"At most {limits.processes} processes and threads are allowed.",
            consequence="DataLoader workers, OpenMP or NCCL threads fail with 'Resource temporarily unavailable'.",
            fix="Raise ulimit -u or the container's --pids-limit; set OMP_NUM_THREADS=1 in workers.",
            cause="nccl-system",
            source="ulimit -u, pids.max",
        )
    if limits.address_space_mib is not None:
        yield Problem(
            id="address-space-limit",
            severity="blocks" if facts.nvidia.gpus else "risk",
            problem=f"The address space is limited to {limits.address_space_mib} MiB (ulimit -v).",
            consequence="CUDA reserves far more than it uses, and fails with 'out of memory' on an empty GPU.",
            fix="ulimit -v unlimited",
            cause="oom-size-bug",
            source="ulimit -v",
        )


def locked_memory(facts: Facts) -> Iterator[Problem]:
    """InfiniBand needs locked memory."""
    locked = facts.limits.locked_memory_kib
    if facts.infiniband and locked is not None and locked < _LOCKED_KIB:
        yield Problem(
            id="locked-memory-limit",
            severity="risk",
            problem=f"There is an InfiniBand adapter, but only {locked} KiB may be locked (ulimit -l).",
            consequence="NCCL fails in ibv_reg_mr or ibv_create_qp: 'unhandled system error'.",
            fix="ulimit -l unlimited (docker run --ulimit memlock=-1; Slurm: LimitMEMLOCK=infinity for slurmd).",
            cause="nccl-system",
            source="ulimit -l",
        )


def processors(facts: Facts) -> Iterator[Problem]:
    """Fewer CPUs than the machine shows."""
    limits = facts.limits
    if limits.cpus_usable < limits.cpus:
        yield Problem(
            id="cpus-limited",
            severity="risk" if limits.cpus_usable < 2 and facts.nvidia.gpus else "note",
            problem=f"{limits.cpus_usable:g} of {limits.cpus} CPUs may be used (affinity or cgroup).",
            consequence="os.cpu_count() does not say so: as many workers or threads get in each other's way.",
            fix=f"num_workers + ranks <= {max(int(limits.cpus_usable), 1)}, OMP_NUM_THREADS accordingly; "
            "or ask for more (--cpus-per-task, --cpus).",
            cause="perf-data-bound",
            source="affinity, cpu.max",
        )
    threads = facts.variables.get("OMP_NUM_THREADS", "")
    if threads.isdigit() and int(threads) > limits.cpus_usable:
        yield Problem(
            id="too-many-threads",
            severity="note",
            problem=f"OMP_NUM_THREADS={threads}, but {limits.cpus_usable:g} CPUs may be used.",
            consequence="Threads wait for each other: steps on the CPU are slower than with fewer.",
            fix=f"OMP_NUM_THREADS={max(int(limits.cpus_usable), 1)}, divided by the ranks on this machine.",
            cause="perf-data-bound",
            source="environment",
        )


def memory(facts: Facts) -> Iterator[Problem]:
    """Main memory is scarce, or was."""
    limits = facts.limits
    if limits.oom_kills:
        yield Problem(
            id="oom-killed-before",
            severity="risk",
            problem=f"The kernel has killed {limits.oom_kills} process(es) here for memory.",
            consequence="A run or a DataLoader worker that ended with SIGKILL (-9, 137) ended for this reason.",
            fix="Fewer workers, a smaller prefetch_factor, no copy of the data per worker; or a higher limit.",
            cause="host-oom",
            source="memory.events",
        )
    if limits.memory_available_gib is not None and limits.memory_available_gib < _MEMORY_GIB:
        yield Problem(
            id="memory-low",
            severity="risk",
            problem=f"Only {limits.memory_available_gib} GiB of main memory are available.",
            consequence="Importing torch takes 0.5 GiB for each process: workers and ranks will be killed (SIGKILL).",
            fix="Free memory or raise the limit; fewer workers and ranks.",
            cause="host-oom",
            source="/proc/meminfo",
        )


def storage(facts: Facts) -> Iterator[Problem]:
    """File systems that are full or slow."""
    for disk in facts.limits.disks:
        if disk.free_gib is not None and disk.free_gib < _DISK_GIB:
            yield _full(disk, f"{disk.free_gib} of {disk.total_gib} GiB are free")
        elif disk.inodes_free_percent is not None and disk.inodes_free_percent < 1:
            yield _full(disk, f"{disk.inodes_free_percent}% of its inodes are free")
        if disk.type in _REMOTE or disk.type.startswith("fuse."):
            yield Problem(
                id="remote-file-system",
                severity="note",
                problem=f"{disk.path} lies on {disk.type}.",
                consequence="Many small files are read slowly and starve the GPU; locks and mmap may fail.",
                fix="Copy the data to a local disk at the start of the job, or pack it into large shards.",
                cause="perf-data-bound",
                source="/proc/mounts",
            )


def _full(disk: Disk, how: str) -> Problem:
    return Problem(
        id="disk-nearly-full",
        severity="risk",
        problem=f"{disk.path} is nearly full: {how}.",
        consequence="The next checkpoint is cut short ('No space left on device').",
        fix="Delete old checkpoints and caches (~/.cache/huggingface, ~/.cache/torch), or write elsewhere.",
        cause="disk-full",
        source="statvfs",
    )


def left_over(facts: Facts) -> Iterator[Problem]:
    """Settings that change runs without being noticed."""
    variables = facts.variables
    if "WORLD_SIZE" in variables and "RANK" in variables and not facts.scheduler.name:
        yield Problem(
            id="rank-left-over",
            severity="risk",
            problem=f"RANK={variables['RANK']} and WORLD_SIZE={variables['WORLD_SIZE']} are set, but no launcher runs.",
            consequence="A plain `python train.py` takes itself for one rank, and waits for the others.",
            fix="unset RANK WORLD_SIZE LOCAL_RANK MASTER_ADDR MASTER_PORT",
            cause="dist-launch-args",
            source="environment",
        )
    costly = {
        "CUDA_LAUNCH_BLOCKING": ("1", "Every kernel waits for the one before: training is several times slower."),
        "TORCH_DISTRIBUTED_DEBUG": (
            "DETAIL",
            "Every collective is checked by an extra one: distributed steps are slower.",
        ),
    }
    for name, (value, consequence) in costly.items():
        if variables.get(name, "").upper() == value:
            yield Problem(
                id="debug-setting",
                severity="note",
                problem=f"{name}={value} is set.",
                consequence=consequence,
                fix=f"unset {name} unless you are looking for an error.",
                cause="perf-sync" if name.startswith("CUDA") else "perf-comm-bound",
                source="environment",
            )


def job(facts: Facts) -> Iterator[Problem]:
    """The scheduler's job ends soon, or gave this process no GPU."""
    values = facts.scheduler.values
    end = values.get("SLURM_JOB_END_TIME", "")
    minutes = (int(end) - time.time()) / 60 if end.isdigit() else None
    if minutes is not None and minutes < _SOON_MINUTES:
        yield Problem(
            id="job-ends-soon",
            severity="risk",
            problem=f"The Slurm job {values.get('SLURM_JOB_ID', '')} ends in {max(minutes, 0):.0f} minutes.",
            consequence="What is not in a checkpoint by then is lost (SIGTERM, then SIGKILL after KillWait).",
            fix="#SBATCH --signal=B:USR1@120 and a handler that saves and requeues; or a longer --time.",
            cause="time-limit",
            source="SLURM_JOB_END_TIME",
        )
    if facts.variables.get("NVIDIA_VISIBLE_DEVICES") in ("void", "none") and facts.torch.cuda:
        ask = "resources.limits: nvidia.com/gpu: 1" if facts.container == "Kubernetes" else "docker run --gpus all"
        yield Problem(
            id="no-gpu-requested",
            severity="risk",
            problem=f"NVIDIA_VISIBLE_DEVICES={facts.variables['NVIDIA_VISIBLE_DEVICES']}: the container got no GPU.",
            consequence="torch.cuda.is_available() is False, whatever GPUs the machine has.",
            fix=f"Ask for one: {ask}.",
            cause="cuda-unavailable",
            source="environment",
        )


def interfaces(facts: Facts) -> Iterator[Problem]:
    """A network interface is named that is not there."""
    for name in ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME"):
        chosen = facts.variables.get(name, "")
        if not chosen or not facts.interfaces or chosen.startswith("^"):
            continue
        exact = chosen.startswith("=") or name.startswith("GLOO")
        wanted = [word for word in chosen.lstrip("=").split(",") if word]
        there = [have for have in facts.interfaces if any(have == w if exact else have.startswith(w) for w in wanted)]
        if wanted and not there:
            yield Problem(
                id="interface-missing",
                severity="blocks",
                problem=f"{name}={chosen}, but there are only {', '.join(facts.interfaces)}.",
                consequence="The ranks cannot connect: 'no socket interface found', or a wait until the time-out.",
                fix=f"unset {name}, or name an interface that `ip -br addr` lists.",
                cause="nccl-network",
                source="environment",
            )


def sandbox(facts: Facts) -> Iterator[Problem]:
    """Checks cannot be isolated here."""
    for layer in facts.layers:
        if layer.name == "namespaces" and not layer.available:
            yield Problem(
                id="sandbox-weak",
                severity="risk",
                problem="dlcoder cannot make namespaces on this machine, the strongest layer of its sandbox.",
                consequence="Checks that run code are refused unless you allow weaker isolation.",
                fix=layer.detail,
                source="sandbox",
            )


RULES: tuple[Callable[[Facts], Iterator[Problem]], ...] = (
    shared_memory,
    memory,
    storage,
    job,
    interfaces,
    left_over,
    open_files,
    locked_memory,
    processors,
    sandbox,
)
