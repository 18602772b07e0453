"""The GPUs, from nvidia-smi and from what the kernel shows without it.

Fields come and go with the driver's generation, so each is optional: a field that this nvidia-smi does not know is not
asked for, and an answer such as [N/A], [Not Supported] or [Unknown Error] is no value.
"""

import asyncio
import csv
import pwd
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dlcoder.environment.command import Reply, ask
from dlcoder.environment.model import Driver, Gpu, GpuProcess
from dlcoder.text import clean

Ask = Callable[..., Awaitable[Reply]]

# Without persistence mode each call first loads the driver on every GPU, which takes seconds.
TIMEOUT_S = 20.0
_CSV = "--format=csv,noheader,nounits"
_FIELDS = (
    "index",
    "uuid",
    "name",
    "driver_version",
    "memory.total",
    "memory.used",
    "memory.free",
    "utilization.gpu",
    "temperature.gpu",
    "compute_cap",
    "compute_mode",
    "ecc.mode.current",
    "ecc.errors.uncorrected.volatile.total",
    "retired_pages.pending",
    "mig.mode.current",
    "pcie.link.width.current",
    "pcie.link.width.max",
    "clocks_throttle_reasons.active",
    "clocks_event_reasons.active",
    "fabric.state",
    "gpu_recovery_action",
)
# As many of them as every nvidia-smi knows: what is asked for where it does not list its fields.
_SURE = 9
_NO_VALUE = re.compile(r"\[.*\]|N/A|None|Unknown Error|ERR!|No|", re.IGNORECASE)
# Bits of clocks_event_reasons that mean trouble; the rest is power management at work.
_THROTTLE = {
    0x08: "hardware slowdown",
    0x20: "temperature (software)",
    0x40: "temperature (hardware)",
    0x80: "power brake",
}


@dataclass
class Nvidia:
    """What was found out about NVIDIA GPUs."""

    driver: Driver
    gpus: list[Gpu] = field(default_factory=list)
    topology: list[str] = field(default_factory=list)


async def query(root: Path = Path("/"), ask: Ask = ask) -> Nvidia:
    """Describe the NVIDIA GPUs of this machine.

    Args:
        root: Where `proc`, `dev` and `sys` are.
        ask: How to run nvidia-smi.
    """
    driver = Driver(hardware=hardware_present(root))
    reply = await _query_gpus(ask)
    gpus, driver.version = parse_gpus(reply.text)
    if not gpus:
        driver.version = driver.version or kernel_module_version(root)
        driver.error = _first_line(reply) if driver.hardware or reply.code != 127 else ""
        return Nvidia(driver)
    remap = "--query-remapped-rows=gpu_uuid,remapped_rows.pending,remapped_rows.failure"
    mig = any(gpu.mig for gpu in gpus)
    banner, apps, rows, listing, links = await asyncio.gather(
        ask("nvidia-smi", timeout_s=TIMEOUT_S),
        ask("nvidia-smi", "--query-compute-apps=gpu_uuid,pid,process_name,used_memory", _CSV, timeout_s=TIMEOUT_S),
        ask("nvidia-smi", remap, _CSV, timeout_s=TIMEOUT_S),
        ask("nvidia-smi", "-L", timeout_s=TIMEOUT_S) if mig else _nothing(),
        ask("nvidia-smi", "topo", "-m", timeout_s=TIMEOUT_S) if len(gpus) > 1 else _nothing(),
    )
    driver.cuda = parse_cuda(banner.text)
    if reply.code != 0 or "unable to determine the device handle" in reply.text.lower():
        # Some GPUs answered and some did not: the message about those stands among the rows.
        driver.error = _first_line(Reply(reply.code, _without_rows(reply.text)))
    add_processes(gpus, apps.text, root)
    add_repairs(gpus, rows.text)
    add_mig(gpus, listing.text)
    return Nvidia(driver, gpus, parse_topology(links.text))


async def _nothing() -> Reply:
    return Reply(0, "")


async def _query_gpus(ask: Ask) -> Reply:
    reply = await ask("nvidia-smi", f"--query-gpu={','.join(_FIELDS)}", _CSV, timeout_s=TIMEOUT_S)
    known: tuple[str, ...] = _FIELDS
    if "valid field to query" in reply.text:
        helped = await ask("nvidia-smi", "--help-query-gpu", timeout_s=TIMEOUT_S)
        offered = set(re.findall(r'"([a-z0-9_.]+)"', helped.text))
        known = tuple(name for name in _FIELDS if name in offered) or _FIELDS[:_SURE]
        reply = await ask("nvidia-smi", f"--query-gpu={','.join(known)}", _CSV, timeout_s=TIMEOUT_S)
    # The names travel with the rows, so that the parser depends on no order.
    return Reply(reply.code, f"{','.join(known)}\n{reply.text}")


def hardware_present(root: Path = Path("/")) -> bool:
    """Whether there is an NVIDIA display or 3D device on the bus, a device node or a loaded driver."""
    if (root / "proc/driver/nvidia/version").exists() or any(root.glob("dev/nvidia[0-9]*")):
        return True
    for device in (root / "sys/bus/pci/devices").glob("*"):
        if _read(device / "vendor") == "0x10de" and _read(device / "class").startswith(("0x0300", "0x0302")):
            return True
    return False


def kernel_module_version(root: Path = Path("/")) -> str:
    """The version of the loaded kernel module; empty where none is."""
    match = re.search(r"Kernel Module.*?\s(\d+\.\d+[.\d]*)\s", _read(root / "proc/driver/nvidia/version"))
    return match[1] if match else ""


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _first_line(reply: Reply) -> str:
    lines = [line.strip() for line in reply.text.splitlines() if line.strip() and not line.startswith("index,")]
    return clean(" ".join(lines[:3]), 300) or f"nvidia-smi ended with status {reply.code} and said nothing."


def _without_rows(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not re.match(r"\s*\d+\s*,", line))


def value(text: str | None) -> str:
    """What a field says; empty where it says that there is nothing to say."""
    text = clean((text or "").strip(), 200)
    return "" if _NO_VALUE.fullmatch(text) else text


def number(text: str | None) -> int | None:
    """A field's number, whatever unit is left behind it."""
    match = re.match(r"-?\d+", value(text))
    return int(match[0]) if match else None


def _rows(text: str) -> Iterable[list[str]]:
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        yield [cell.strip() for cell in row]


def parse_gpus(text: str) -> tuple[list[Gpu], str]:
    """Read the rows of `--query-gpu`, under a first line that names the fields.

    Returns:
        The GPUs and the driver's version. Lines that are no rows (errors about single GPUs, warnings) are passed over.
    """
    header, *rows = list(_rows(text)) or [[]]
    gpus, version = [], ""
    for row in rows:
        cells = dict(zip(header, row, strict=False))
        index = number(cells.get("index"))
        if index is None or len(row) != len(header):
            continue
        version = version or value(cells.get("driver_version"))
        gpus.append(_gpu(index, cells))
    return gpus, version


def _gpu(index: int, cells: dict[str, str]) -> Gpu:
    total, used = number(cells.get("memory.total")), number(cells.get("memory.used"))
    free = number(cells.get("memory.free"))
    if free is None and total is not None and used is not None:
        free = total - used
    lanes = [value(cells.get(f"pcie.link.width.{which}")) for which in ("current", "max")]
    return Gpu(
        index=index,
        name=value(cells.get("name")) or "unknown",
        uuid=value(cells.get("uuid")),
        memory_total_mib=total,
        memory_used_mib=used,
        memory_free_mib=free,
        utilization_percent=number(cells.get("utilization.gpu")),
        temperature_c=number(cells.get("temperature.gpu")),
        compute_capability=value(cells.get("compute_cap")),
        ecc=value(cells.get("ecc.mode.current")),
        ecc_uncorrected=number(cells.get("ecc.errors.uncorrected.volatile.total")),
        repair_pending=_repair(cells),
        throttled_by=_throttles(cells),
        compute_mode=value(cells.get("compute_mode")),
        mig=["enabled"] if value(cells.get("mig.mode.current")) == "Enabled" else [],
        pcie_lanes="/".join(lanes) if all(lanes) else "",
        fabric=value(cells.get("fabric.state")),
    )


def _repair(cells: dict[str, str]) -> str:
    """What the GPU needs before it can be relied on again, by whichever field this driver says so."""
    said = " ".join(cells.values()).lower()
    if "gpu is lost" in said:
        return "a reboot (it has fallen off the bus)"
    if "requires reset" in said:
        return "a reset"
    if recovery := value(cells.get("gpu_recovery_action")):
        return recovery.lower()
    return "a reset to retire pages" if value(cells.get("retired_pages.pending")).lower() == "yes" else ""


def _throttles(cells: dict[str, str]) -> list[str]:
    told = value(cells.get("clocks_event_reasons.active")) or value(cells.get("clocks_throttle_reasons.active"))
    try:
        mask = int(told, 16)
    except ValueError:
        return []
    return [reason for bit, reason in _THROTTLE.items() if mask & bit]


def parse_cuda(banner: str) -> str:
    """The newest CUDA that the driver supports, from the first lines of plain `nvidia-smi`."""
    match = re.search(r"CUDA(?: UMD)? Version\s*:\s*(\d+\.\d+)", banner)
    return match[1] if match else ""


def add_processes(gpus: list[Gpu], text: str, root: Path = Path("/")) -> None:
    """Give each GPU the processes that `--query-compute-apps` lists for it."""
    by_uuid = {gpu.uuid: gpu for gpu in gpus}
    for row in _rows(text):
        # A process name may hold commas; what surrounds it does not.
        if len(row) < 4 or row[0] not in by_uuid or (pid := number(row[1])) is None:
            continue
        name = clean(Path(",".join(row[2:-1]).split(" ")[0]).name, 60)
        process = GpuProcess(pid=pid, name=name, user=_owner(pid, name, root), memory_mib=number(row[-1]))
        by_uuid[row[0]].processes.append(process)


def _owner(pid: int, name: str, root: Path) -> str:
    """The owner's name, where the process of this number here is the one that the driver means.

    The driver counts processes from the host; in a container the same number may be another one, or nobody.
    """
    process = root / "proc" / str(pid)
    running = _read(process / "comm")
    if not running or not (name.startswith(running) or running.startswith(name[:15])):
        return ""
    try:
        uid = process.stat().st_uid
        return pwd.getpwuid(uid).pw_name
    except OSError:
        return ""
    except KeyError:
        return str(uid)


def add_repairs(gpus: list[Gpu], text: str) -> None:
    """Mark the GPUs whose memory rows wait for a reset to be remapped, or can no longer be remapped."""
    by_uuid = {gpu.uuid: gpu for gpu in gpus}
    for row in _rows(text):
        if len(row) < 3 or row[0] not in by_uuid:
            continue
        pending, failed = (cell.lower() in ("1", "yes") for cell in row[1:3])
        if failed:
            by_uuid[row[0]].repair_pending = "replacement (row remapping failed)"
        elif pending:
            by_uuid[row[0]].repair_pending = by_uuid[row[0]].repair_pending or "a reset to remap rows"


def add_mig(gpus: list[Gpu], listing: str) -> None:
    """Name the MIG instances below each partitioned GPU, from `nvidia-smi -L`."""
    current: Gpu | None = None
    for line in listing.splitlines():
        if match := re.match(r"GPU (\d+):", line):
            current = next((gpu for gpu in gpus if gpu.index == int(match[1])), None)
        elif current and (match := re.match(r"\s+MIG (\S+)", line)):
            current.mig = [*(name for name in current.mig if name != "enabled"), match[1]]


def parse_topology(matrix: str) -> list[str]:
    """The links between GPUs from `nvidia-smi topo -m`, each pair once, as "GPU0-GPU1 NV12"."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in matrix.splitlines()]
    header = next((line.split() for line in lines if line.split()[:1] == ["GPU0"] and "X" not in line.split()), [])
    columns = [name for name in header if re.fullmatch(r"GPU\d+", name)]
    links = []
    for line in lines:
        cells = line.split()
        if len(cells) <= len(columns) or cells[0] not in columns or cells[1 : len(columns) + 1].count("X") != 1:
            continue
        row = columns.index(cells[0])
        links += [f"{cells[0]}-{columns[i]} {cells[i + 1]}" for i in range(row + 1, len(columns))]
    return links
