"""The description of a machine and an interpreter, as plain data. Sizes are in MiB or GiB as the names say."""

from typing import Literal

from pydantic import BaseModel, Field

Severity = Literal["blocks", "risk", "note"]


class Problem(BaseModel):
    """One thing that is wrong, or will be."""

    id: str = Field(description="Short and stable, such as shm-too-small.")
    severity: Severity = Field(description="blocks: training on the GPUs fails; risk: it fails under load; note.")
    problem: str = Field(description="What was found, with the value.")
    consequence: str
    fix: str
    cause: str = Field(
        default="", description="The cause that diagnose_log would name for the failure that this leads to."
    )
    source: str = Field(default="", description="Where it was seen.")


class GpuProcess(BaseModel):
    """A process that holds memory on a GPU."""

    pid: int
    name: str = ""
    user: str = Field(default="", description="Owner; empty where the process is outside this container.")
    memory_mib: int | None = None


class Gpu(BaseModel):
    """One GPU as the driver sees it. What the driver does not tell is null."""

    index: int
    name: str
    uuid: str = ""
    memory_total_mib: int | None = None
    memory_used_mib: int | None = None
    memory_free_mib: int | None = None
    utilization_percent: int | None = None
    temperature_c: int | None = None
    compute_capability: str = ""
    ecc: str = Field(default="", description="Enabled, Disabled or empty where the GPU has none.")
    ecc_uncorrected: int | None = Field(default=None, description="Uncorrected errors since the driver was loaded.")
    repair_pending: str = Field(
        default="", description="What the GPU waits for: a reset for row remapping, retired pages, ..."
    )
    throttled_by: list[str] = Field(default_factory=list)
    compute_mode: str = ""
    mig: list[str] = Field(default_factory=list, description="MIG instances, where the GPU is partitioned.")
    pcie_lanes: str = Field(default="", description="Current of the most, as 8/16.")
    fabric: str = Field(default="", description="NVSwitch fabric, where there is one: Completed once it is ready.")
    processes: list[GpuProcess] = Field(default_factory=list)


class Driver(BaseModel):
    """The NVIDIA driver."""

    version: str = ""
    cuda: str = Field(default="", description="The newest CUDA that it supports without compatibility modes.")
    error: str = Field(default="", description="Why nvidia-smi gave no answer.")
    hardware: bool = Field(default=False, description="Whether an NVIDIA device or driver is there at all.")


class Torch(BaseModel):
    """torch in the interpreter; `ran` says whether it was imported or only read from its files."""

    version: str = ""
    ran: bool = False
    cuda: str = Field(default="", description="The CUDA that it was built with; empty for a build without.")
    hip: str = ""
    cudnn: str = ""
    nccl: str = ""
    available: bool | None = Field(default=None, description="Whether it can use a GPU.")
    devices: list[str] = Field(default_factory=list)
    architectures: list[str] = Field(default_factory=list)
    error: str = ""


class Disk(BaseModel):
    """The file system behind a directory."""

    path: str
    type: str = ""
    free_gib: float | None = None
    total_gib: float | None = None
    inodes_free_percent: float | None = None


class Limits(BaseModel):
    """What this process may use. Null: no limit, or not known."""

    cpus: int = Field(description="Logical CPUs of the machine.")
    cpus_usable: float = Field(description="After affinity and the cgroup's quota.")
    memory_total_gib: float | None = None
    memory_available_gib: float | None = None
    memory_limit_gib: float | None = Field(
        default=None, description="Of the cgroup, where it is below the machine's memory."
    )
    oom_kills: int | None = Field(
        default=None, description="Processes of this cgroup that the kernel killed for memory."
    )
    shm_mib: int | None = Field(default=None, description="/dev/shm.")
    shm_free_mib: int | None = None
    open_files: int | None = None
    locked_memory_kib: int | None = None
    processes: int | None = None
    address_space_mib: int | None = None
    disks: list[Disk] = Field(default_factory=list)


class Scheduler(BaseModel):
    """Who started this process. Most variables by name only: their values may be secret."""

    name: str = ""
    variables: list[str] = Field(default_factory=list)
    values: dict[str, str] = Field(default_factory=dict, description="What the job was given, which is no secret.")


class Evidence(BaseModel):
    """A problem as `diagnose_log` quotes its evidence: a line of the report, and the cause that it speaks for."""

    cause: str
    source: str
    line: int
    text: str
    supports: bool


class Environment(BaseModel):
    """Everything that was found."""

    system: str
    container: str = ""
    python: str = Field(description="The interpreter, with its version.")
    gpus: list[Gpu] = Field(default_factory=list)
    topology: list[str] = Field(default_factory=list, description="Links between GPUs, as 'GPU0-GPU1 NV12'.")
    driver: Driver
    torch: Torch
    libraries: dict[str, str] = Field(default_factory=dict)
    limits: Limits
    scheduler: Scheduler = Field(default_factory=Scheduler)
    variables: dict[str, str] = Field(default_factory=dict, description="Settings that change how training runs.")
    sandbox: list[str] = Field(default_factory=list, description="Layers that checks run behind on this machine.")
    problems: list[Problem] = Field(default_factory=list, description="What hurts most comes first.")
    evidence: list[Evidence] = Field(default_factory=list, description="For `diagnose_log`: lines of the report.")
    report: str = Field(default="", description="A few lines to paste into a bug report.")
