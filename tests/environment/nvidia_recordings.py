"""What nvidia-smi answers on machines of several generations, for tests without a GPU.

`Recorded` behaves like the program: it knows the fields of its generation, refuses the others as the program does
(one name, exit status 2), and prints CSV without units.
"""

import re
from dataclasses import dataclass, field

from dlcoder.environment.command import Reply

OLD_FIELDS = [
    "index",
    "uuid",
    "name",
    "driver_version",
    "memory.total",
    "memory.used",
    "memory.free",
    "utilization.gpu",
    "temperature.gpu",
    "compute_mode",
    "ecc.mode.current",
    "ecc.errors.uncorrected.volatile.total",
    "retired_pages.pending",
    "pcie.link.width.current",
    "pcie.link.width.max",
    "clocks_throttle_reasons.active",
]
FIELDS_470 = [*OLD_FIELDS, "mig.mode.current"]
FIELDS_535 = [*FIELDS_470, "compute_cap", "memory.reserved"]
FIELDS_550 = [*FIELDS_535, "clocks_event_reasons.active", "fabric.state"]
FIELDS_610 = [name for name in FIELDS_550 if not name.startswith("clocks_throttle")] + ["gpu_recovery_action"]

_DEFAULTS = {
    "compute_mode": "Default",
    "utilization.gpu": "0",
    "temperature.gpu": "34",
    "ecc.mode.current": "Enabled",
    "ecc.errors.uncorrected.volatile.total": "0",
    "retired_pages.pending": "No",
    "mig.mode.current": "Disabled",
    "pcie.link.width.current": "16",
    "pcie.link.width.max": "16",
    "clocks_throttle_reasons.active": "0x0000000000000001",
    "clocks_event_reasons.active": "0x0000000000000001",
    "fabric.state": "N/A",
    "gpu_recovery_action": "None",
}


@dataclass
class Recorded:
    """An nvidia-smi of one generation on one machine."""

    fields: list[str]
    driver: str
    cuda: str
    gpus: list[dict[str, str]]
    apps: str = ""
    remapped: str = ""
    listing: str = ""
    topology: str = ""
    banner_style: str = "| NVIDIA-SMI {d}    Driver Version: {d}    CUDA Version: {c}     |"
    extra: str = ""
    code: int = 0
    asked: list[str] = field(default_factory=list)

    async def __call__(self, *command: str, timeout_s: float) -> Reply:
        assert command[0] == "nvidia-smi" and timeout_s <= 30
        self.asked.append(" ".join(command[1:]))
        option = command[1] if len(command) > 1 else ""
        if option.startswith("--query-gpu="):
            return self._query(option.partition("=")[2].split(","))
        replies = {
            "": self.banner_style.format(d=self.driver, c=self.cuda),
            "--help-query-gpu": "\n".join(f'"{name}"\nText about it.\n' for name in self.fields),
            "-L": self.listing,
            "topo": self.topology,
        }
        if option.startswith("--query-compute-apps="):
            return Reply(0, self.apps)
        if option.startswith("--query-remapped-rows="):
            return Reply(0 if self.remapped else 2, self.remapped or "Unable to query remapped rows: Not Supported\n")
        return Reply(0, replies[option])

    def _query(self, names: list[str]) -> Reply:
        for name in names:
            if name not in self.fields:
                return Reply(2, f'Field "{name}" is not a valid field to query.\n\n')
        rows = []
        for index, gpu in enumerate(self.gpus):
            cells = {**_DEFAULTS, "index": str(index), "driver_version": self.driver, **gpu}
            rows.append(", ".join(cells.get(name, "[N/A]") for name in names))
        return Reply(self.code, "\n".join([*rows, self.extra]) + "\n")


def failing(code: int, text: str):
    """An nvidia-smi that says only this."""

    async def ask(*command: str, timeout_s: float) -> Reply:
        return Reply(code, text)

    return ask


def _gpu(name: str, total: int, used: int = 4, **more: str) -> dict[str, str]:
    number = re.sub(r"\W", "", name)[-8:]
    fields = {"memory.total": str(total), "memory.used": str(used), "memory.free": str(total - used)}
    return {
        "name": name,
        "uuid": f"GPU-{number}-{len(more)}",
        **fields,
        **{k.replace("__", "."): v for k, v in more.items()},
    }


def k80() -> Recorded:
    """Driver 418: brackets for what is missing, no compute capability, no MIG."""
    gpu = _gpu("Tesla K80", 11441, 0) | {
        "utilization.gpu": "[Not Supported]",
        "pcie.link.width.current": "[Unknown Error]",
    }
    return Recorded(OLD_FIELDS, "418.87.01", "10.1", [gpu])


def rtx_4090() -> Recorded:
    """Driver 535: GeForce cards without ECC, connected through the processor, one of them busy."""
    first = _gpu("NVIDIA GeForce RTX 4090", 24564, 21034) | {"uuid": "GPU-a", "ecc.mode.current": "[N/A]"}
    second = _gpu("NVIDIA GeForce RTX 4090", 24564, 12) | {"uuid": "GPU-b", "ecc.mode.current": "[N/A]"}
    for gpu in (first, second):
        gpu |= {
            "ecc.errors.uncorrected.volatile.total": "[N/A]",
            "retired_pages.pending": "[N/A]",
            "compute_cap": "8.9",
        }
        gpu["mig.mode.current"] = "[N/A]"
    topology = (
        "\tGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\n"
        "GPU0\t X \tSYS\t0-15,32-47\t0\t\tN/A\nGPU1\tSYS\t X \t16-31,48-63\t1\t\tN/A\n\nLegend:\n\n  X    = Self\n"
    )
    apps = "GPU-a, 31337, /home/ann/venv/bin/python, 20990\n"
    return Recorded(FIELDS_535, "535.183.01", "12.2", [first, second], apps=apps, topology=topology)


def h100(faults: bool = False) -> Recorded:
    """Driver 550: eight GPUs on NVSwitch; with `faults`, one has ECC errors and one is hot."""
    gpus = []
    for index in range(8):
        more = {"uuid": f"GPU-h{index}", "compute_cap": "9.0", "fabric.state": "Completed"}
        gpus.append(_gpu("NVIDIA H100 80GB HBM3", 81559) | more)
    if faults:
        gpus[2]["ecc.errors.uncorrected.volatile.total"] = "3"
        gpus[5] |= {"temperature.gpu": "91", "clocks_event_reasons.active": "0x0000000000000048"}
    names = [f"GPU{i}" for i in range(8)]
    header = "\t\x1b[4m" + "\t".join([*names, "NIC0", "CPU Affinity", "NUMA Affinity", "GPU NUMA ID"]) + "\x1b[0m"
    rows = [
        "\t".join([name, *(" X " if other == name else "NV18" for other in names), "PIX", "0-55,112-167", "0", "N/A"])
        for name in names
    ]
    nic = "\t".join(["NIC0", *["PIX"] * 8, " X "])
    remapped = "".join(f"GPU-h{i}, {'1' if faults and i == 2 else '0'}, 0\n" for i in range(8))
    return Recorded(
        FIELDS_550,
        "550.54.14",
        "12.4",
        gpus,
        topology="\n".join([header, *rows, nic, "", "Legend:"]),
        remapped=remapped,
    )


def a100_mig(instances: bool = True) -> Recorded:
    """Driver 535 with MIG: utilization is not known, instances stand below their GPU."""
    gpu = _gpu("NVIDIA A100-SXM4-40GB", 40960, 40) | {
        "uuid": "GPU-m0",
        "compute_cap": "8.0",
        "utilization.gpu": "[N/A]",
    }
    gpu["mig.mode.current"] = "Enabled"
    listing = "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-m0)\n"
    if instances:
        listing += (
            "  MIG 3g.20gb     Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)\n"
            "  MIG 3g.20gb     Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)\n"
        )
    return Recorded(FIELDS_535, "535.86.10", "12.2", [gpu], listing=listing)


def b200() -> Recorded:
    """Driver 610: new labels in the banner, old throttle fields gone, the fabric still starting."""
    gpus = [
        _gpu("NVIDIA B200", 183359, 0) | {"uuid": f"GPU-b{i}", "compute_cap": "10.0", "fabric.state": "In Progress"}
        for i in range(2)
    ]
    banner = "| NVIDIA-SMI {d}              KMD Version: {d}     CUDA UMD Version: {c}     |"
    return Recorded(FIELDS_610, "610.43.02", "13.3", gpus, banner_style=banner)


def wsl() -> Recorded:
    """Under WSL processes are not told apart."""
    gpu = _gpu("NVIDIA GeForce RTX 3070 Laptop GPU", 8192, 900) | {"uuid": "GPU-w", "compute_cap": "8.6"}
    return Recorded(FIELDS_550, "551.61", "12.4", [gpu], apps="GPU-w, [N/A], [N/A], [N/A]\n")


def one_lost() -> Recorded:
    """Three of four GPUs answer."""
    gpus = [_gpu("NVIDIA A30", 24576) | {"uuid": f"GPU-l{i}", "compute_cap": "8.0"} for i in range(3)]
    lost = "Unable to determine the device handle for GPU3: 0000:17:00.0: Unknown Error"
    return Recorded(FIELDS_550, "560.35.03", "12.6", gpus, extra=lost, code=255)
