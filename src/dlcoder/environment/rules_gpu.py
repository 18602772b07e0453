"""What can be wrong with GPUs and their driver."""

from collections.abc import Callable, Iterator

from dlcoder.environment.facts import Facts, from_message
from dlcoder.environment.model import Gpu, Problem
from dlcoder.environment.support import find, minimum_driver, older, support

_HOT_C = 88
# Less than this share of a GPU's memory free, before training has begun.
_LITTLE_FREE = 0.5
# What an idle GPU's driver and display keep for themselves.
_OWN_MIB = 1500


def no_answer(facts: Facts) -> Iterator[Problem]:
    """The driver tells nothing, or a GPU does not answer."""
    driver = facts.nvidia.driver
    if not driver.error:
        return
    message = find(support().nvidia_smi_errors, driver.error)
    if message:
        yield from_message(message, "nvidia-smi", driver.error)
    elif "No such file" in driver.error:
        yield _no_utility(facts)
    else:
        yield Problem(
            id="nvidia-smi-failed",
            severity="risk",
            problem=f"nvidia-smi failed: {driver.error.rstrip('.')}.",
            consequence="The GPUs' state is unknown; CUDA may fail, too.",
            fix="Run nvidia-smi and read the kernel's messages: sudo dmesg | grep -i -e nvrm -e xid",
            source="nvidia-smi",
        )


def _no_utility(facts: Facts) -> Problem:
    if facts.nvidia.driver.version:
        return Problem(
            id="nvidia-smi-missing",
            severity="note",
            problem=f"There is an NVIDIA driver ({facts.nvidia.driver.version}), but no nvidia-smi.",
            consequence="Memory, ECC errors and other processes on the GPUs cannot be seen.",
            fix="Install the driver's utilities (in a container NVIDIA_DRIVER_CAPABILITIES=compute,utility).",
            source="PATH",
        )
    return Problem(
        id="no-driver",
        severity="blocks",
        problem="There is an NVIDIA GPU on the bus, but no driver here.",
        consequence="torch.cuda.is_available() is False.",
        fix="Start the container with GPUs (docker run --gpus all; in Kubernetes ask for nvidia.com/gpu)."
        if facts.container
        else "Install the NVIDIA driver of your distribution, and reboot.",
        cause="cuda-unavailable",
        source="/sys/bus/pci",
    )


def driver_too_old(facts: Facts) -> Iterator[Problem]:
    """The driver cannot run programs built with torch's CUDA."""
    driver, cuda = facts.nvidia.driver, facts.torch.cuda
    needed = minimum_driver(cuda) if cuda else ""
    if needed and driver.version and older(driver.version, needed):
        supports = f", which supports CUDA {driver.cuda}" if driver.cuda else ""
        older_build = f"cu{driver.cuda.replace('.', '')}" if driver.cuda else "an older CUDA"
        yield Problem(
            id="driver-too-old",
            severity="blocks",
            problem=f"torch {facts.torch.version} needs driver {needed}; this is {driver.version}{supports}.",
            consequence="torch.cuda.is_available() is False.",
            fix=f"Upgrade the driver to {needed} or newer, or install a torch built for at most {older_build}.",
            cause="cuda-driver-mismatch",
            source="nvidia-smi",
        )


def memory_taken(facts: Facts) -> Iterator[Problem]:
    """Somebody else holds the memory."""
    for gpu in facts.nvidia.gpus:
        used, total = gpu.memory_used_mib or 0, gpu.memory_total_mib or 0
        if not total or used < _OWN_MIB or (total - used) / total > _LITTLE_FREE:
            continue
        holders = [f"{p.name or 'process'} {p.pid}{f' of {p.user}' if p.user else ''}" for p in gpu.processes]
        seen = f"by {', '.join(holders[:3])}" if holders else "by processes that cannot be seen from here"
        yield Problem(
            id="gpu-memory-taken",
            severity="risk",
            problem=f"GPU {gpu.index}: {used} of {total} MiB are held {seen}.",
            consequence="Training runs out of memory with a batch that would fit on an empty GPU.",
            fix=(
                f"Choose another GPU (CUDA_VISIBLE_DEVICES); if {gpu.processes[0].pid} is yours and not needed, end it."
                if holders
                else "Look on the host, outside this container: sudo fuser -v /dev/nvidia* shows leftovers."
            ),
            cause="oom-shared-gpu",
            source="nvidia-smi",
        )


def hardware(facts: Facts) -> Iterator[Problem]:
    """Memory errors and pending repairs."""
    for gpu in facts.nvidia.gpus:
        if gpu.ecc_uncorrected:
            yield Problem(
                id="ecc-errors",
                severity="risk",
                problem=f"GPU {gpu.index}: {gpu.ecc_uncorrected} uncorrected memory errors since the driver started.",
                consequence="Processes on it are killed (Xid 48, 63, 94, 95) until it is reset.",
                fix=f"Stop what runs on it; sudo nvidia-smi --gpu-reset -i {gpu.index}. If they return: replace it.",
                cause="cuda-hardware-fault",
                source="nvidia-smi",
            )
        if gpu.repair_pending:
            yield Problem(
                id="gpu-repair-pending",
                severity="risk",
                problem=f"GPU {gpu.index} waits for {gpu.repair_pending}.",
                consequence="Bad memory stays in use until then, and errors may come back.",
                fix="Replace the GPU."
                if "replacement" in gpu.repair_pending
                else f"sudo nvidia-smi --gpu-reset -i {gpu.index}, or reboot.",
                cause="cuda-hardware-fault",
                source="nvidia-smi",
            )


def slowed(facts: Facts) -> Iterator[Problem]:
    """Heat, power and a narrow bus."""
    for gpu in facts.nvidia.gpus:
        hot = gpu.temperature_c is not None and gpu.temperature_c >= _HOT_C
        if gpu.throttled_by or hot:
            why = ", ".join(gpu.throttled_by) or "near its limit"
            degrees = f" at {gpu.temperature_c} degrees" if gpu.temperature_c is not None else ""
            yield Problem(
                id="gpu-throttled",
                severity="risk",
                problem=f"GPU {gpu.index} is slowed down{degrees}: {why}.",
                consequence="Steps take longer, and in distributed training all ranks wait for this one.",
                fix="Check fans, airflow and the power supply; nvidia-smi -q -d PERFORMANCE,POWER shows the reason.",
                cause="perf-comm-bound",
                source="nvidia-smi",
            )
        now, _, most = gpu.pcie_lanes.partition("/")
        if most.isdigit() and now.isdigit() and int(now) * 2 < int(most):
            yield Problem(
                id="pcie-narrow",
                severity="note",
                problem=f"GPU {gpu.index} uses {now} of {most} PCIe lanes.",
                consequence="Copies between host and GPU, and between GPUs, are slower by that factor.",
                fix="Reseat the card or move it to a full slot.",
                cause="perf-comm-bound",
                source="nvidia-smi",
            )


def sharing(facts: Facts) -> Iterator[Problem]:
    """Modes that keep several processes or several GPUs from working together."""
    gpus = facts.nvidia.gpus
    for mode in sorted({gpu.compute_mode for gpu in gpus} - {"", "Default"}):
        indices = [str(gpu.index) for gpu in gpus if gpu.compute_mode == mode]
        yield Problem(
            id="compute-mode",
            severity="blocks" if mode == "Prohibited" else "risk",
            problem=f"GPU {', '.join(indices)}: compute mode {mode}.",
            consequence="CUDA refuses every process."
            if mode == "Prohibited"
            else "A second process on the GPU fails with 'all CUDA-capable devices are busy or unavailable'.",
            fix=f"sudo nvidia-smi -i {','.join(indices)} -c DEFAULT",
            cause="cuda-unavailable",
            source="nvidia-smi",
        )
    if any(gpu.mig for gpu in gpus):
        empty = [str(gpu.index) for gpu in gpus if gpu.mig == ["enabled"]]
        yield Problem(
            id="mig",
            severity="blocks" if len(empty) == len(gpus) else "note",
            problem="MIG partitions the GPUs: " + _partitions(gpus) + ".",
            consequence="GPUs without an instance cannot be used at all."
            if empty
            else "A process sees one instance only, and NCCL does not connect instances: no multi-GPU training here.",
            fix="Create instances (sudo nvidia-smi mig -cgi ... -C), or disable MIG (sudo nvidia-smi -mig 0)."
            if empty
            else "Choose one by CUDA_VISIBLE_DEVICES=MIG-<uuid> (nvidia-smi -L), or sudo nvidia-smi -mig 0.",
            cause="cuda-unavailable" if empty else "nccl-duplicate-gpu",
            source="nvidia-smi",
        )


def _partitions(gpus: list[Gpu]) -> str:
    return "; ".join(
        f"GPU {gpu.index} " + ("without instances" if gpu.mig == ["enabled"] else ", ".join(gpu.mig))
        for gpu in gpus
        if gpu.mig
    )


def together(facts: Facts) -> Iterator[Problem]:
    """GPUs that do not make a team."""
    gpus = facts.nvidia.gpus
    waiting = [str(gpu.index) for gpu in gpus if gpu.fabric and gpu.fabric.lower() in ("in progress", "not started")]
    if waiting:
        yield Problem(
            id="fabric-not-ready",
            severity="blocks",
            problem=f"The NVSwitch fabric of GPU {', '.join(waiting)} is not initialized.",
            consequence="CUDA fails with error 802 (system not yet initialized).",
            fix="sudo systemctl restart nvidia-fabricmanager; it must be of exactly the driver's version.",
            cause="cuda-unavailable",
            source="nvidia-smi",
        )
    names = sorted({gpu.name for gpu in gpus})
    if len(names) > 1:
        yield Problem(
            id="mixed-gpus",
            severity="note",
            problem=f"Different GPUs side by side: {', '.join(names)}.",
            consequence="In distributed training the slowest sets the pace and the smallest the batch; CUDA may number "
            "them otherwise than nvidia-smi.",
            fix="Use equal ones (CUDA_VISIBLE_DEVICES), and set CUDA_DEVICE_ORDER=PCI_BUS_ID.",
            cause="perf-comm-bound",
            source="nvidia-smi",
        )
    far = [link for link in facts.nvidia.topology if link.endswith((" SYS", " NODE"))]
    if far and not any(" NV" in link for link in facts.nvidia.topology):
        yield Problem(
            id="no-peer-access",
            severity="note",
            problem=f"GPUs are connected through the processor only ({far[0]}).",
            consequence="NCCL copies through host memory (/dev/shm): gradients take longer to exchange.",
            fix="Keep /dev/shm large; accumulate gradients or use larger batches, so that ranks exchange less often.",
            cause="perf-comm-bound",
            source="nvidia-smi topo -m",
        )


def _shown(chosen: str, count: int) -> int:
    """How many devices CUDA shows: those before the first that is not there."""
    for number, word in enumerate(chosen.split(",")):
        name = word.strip()
        there = int(name) < count if name.isdigit() else name.startswith(("GPU-", "MIG-"))
        if not there:
            return number
    return len(chosen.split(","))


def hidden(facts: Facts) -> Iterator[Problem]:
    """CUDA_VISIBLE_DEVICES hides GPUs."""
    chosen, gpus = facts.variables.get("CUDA_VISIBLE_DEVICES"), facts.nvidia.gpus
    if chosen is None or not gpus:
        return
    shown = _shown(chosen, len(gpus))
    if shown < len(gpus):
        yield Problem(
            id="gpus-hidden",
            severity="note" if shown else "blocks",
            problem=f"CUDA_VISIBLE_DEVICES={chosen!r} shows {shown} of {len(gpus)} GPUs.",
            consequence="torch cannot use the others." if shown else "torch.cuda.is_available() is False.",
            fix="Nothing, if that is meant." if shown else "Unset it, or name indices that nvidia-smi -L lists.",
            cause="" if shown else "cuda-unavailable",
            source="environment",
        )


RULES: tuple[Callable[[Facts], Iterator[Problem]], ...] = (
    no_answer,
    driver_too_old,
    together,
    hidden,
    sharing,
    hardware,
    memory_taken,
    slowed,
)
