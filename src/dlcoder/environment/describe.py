"""Gather what there is to know about a machine and an interpreter, judge it, and put it into words."""

import asyncio
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from dlcoder import __version__
from dlcoder.environment import host, nvidia, packages, rules_gpu, rules_host, rules_software
from dlcoder.environment.command import ask
from dlcoder.environment.data import data_folders
from dlcoder.environment.facts import Facts
from dlcoder.environment.interpreter import Answer, choose, question
from dlcoder.environment.model import Disk, Environment, Evidence, Problem, Severity, Torch
from dlcoder.progress import Progress
from dlcoder.sandbox.interpreters import Interpreter
from dlcoder.sandbox.layers import survey
from dlcoder.text import clean

_ORDER: dict[Severity, int] = {"blocks": 0, "risk": 1, "note": 2}
_MOST_TOLD = 6
"""Problems that a report names."""
_CUDA_LIBRARIES = ("libcudart.so", "libcudnn.so", "libnccl.so", "libcublas.so", "libcuda.so")


async def describe(python: str | None, project: Path, progress: Progress) -> Environment:
    """Describe the machine and an interpreter on it.

    Args:
        python: An interpreter or an environment's directory; by default the one that `project` is run with.
        project: Where the work is: its environment is looked at first, and its file system described.
        progress: Told what is being looked at.

    Raises:
        UserError: `python` is no interpreter.
    """
    progress("reading the installed packages", 0.05)
    interpreter = await choose(python, project)
    installed = await asyncio.to_thread(packages.read, interpreter.site_packages)
    limits = await asyncio.to_thread(host.limits, [project, *data_folders(project, os.environ)])
    progress("asking the GPU driver and importing torch", 0.2)
    gpu = nvidia.hardware_present()
    async with asyncio.TaskGroup() as group:
        driver = group.create_task(nvidia.query())
        asked = group.create_task(_ask_torch(interpreter, installed, gpu))
        toolkit = group.create_task(_toolkit())
        layers = group.create_task(survey())
    progress("comparing with what is known to work", 0.9)
    answer = asked.result()
    facts = Facts(
        python=interpreter.version,
        torch=_torch(interpreter, answer),
        answer=answer,
        installed=installed,
        nvidia=driver.result(),
        limits=limits,
        scheduler=host.scheduler(os.environ),
        variables=host.settings(os.environ),
        container=host.container(os.environ),
        interfaces=_names(Path("/sys/class/net")),
        infiniband=bool(_names(Path("/sys/class/infiniband"))),
        compiler=next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), ""),
        toolkit=toolkit.result(),
        layers=layers.result().layers,
        shadowing=shadowing(os.environ),
    )
    return compose(facts, interpreter)


def judge(facts: Facts) -> list[Problem]:
    """Run every rule. What blocks comes first; the same problem is named once."""
    rules = (*rules_software.RULES[:3], *rules_gpu.RULES, *rules_software.RULES[3:], *rules_host.RULES)
    found = {(p.id, p.problem): p for rule in rules for p in rule(facts)}
    problems: list[Problem] = []
    for problem in sorted(found.values(), key=lambda p: _ORDER[p.severity]):
        # Two witnesses of one fault (nvidia-smi and torch, say) are one problem.
        if problem.severity != "blocks" or all(problem.id != other.id for other in problems):
            problems.append(problem)
    return problems


def compose(facts: Facts, interpreter: Interpreter) -> Environment:
    """Judge the facts and lay them out."""
    present = {entry.name: entry.version for entry in reversed(facts.installed)}
    environment = Environment(
        system=host.system(),
        container=facts.container,
        python=f"{interpreter.path} (Python {interpreter.version})",
        gpus=facts.nvidia.gpus,
        topology=facts.nvidia.topology,
        driver=facts.nvidia.driver,
        torch=facts.torch,
        libraries={name: present[name] for name in packages.LIBRARIES if name in present},
        limits=facts.limits,
        scheduler=facts.scheduler,
        variables=facts.variables,
        sandbox=[layer.name for layer in facts.layers if layer.available],
        problems=judge(facts),
    )
    environment.report = report(environment)
    environment.evidence = evidence(environment)
    return environment


async def _ask_torch(interpreter: Interpreter, installed: list[packages.Installed], gpu: bool) -> Answer:
    if not interpreter.torch:
        return Answer(reason="torch is not installed")
    return await question(interpreter, (entry.name for entry in installed), os.environ, gpu)


async def _toolkit() -> str:
    if shutil.which("nvcc") is None:
        return ""
    reply = await ask("nvcc", "--version", timeout_s=10)
    match = re.search(r"release (\d+\.\d+)", reply.text)
    return match[1] if match else ""


def _torch(interpreter: Interpreter, answer: Answer) -> Torch:
    """Put what torch said of itself over what its files say."""
    said, devices = answer.facts.get("torch", {}), answer.facts.get("devices", {})
    tag = re.search(r"\+cu(\d+)(\d)$", interpreter.torch)

    def text(value: object) -> str:
        return clean(str(value), 300) if value else ""

    return Torch(
        version=text(said.get("version")) or interpreter.torch,
        ran=bool(said),
        cuda=text(said.get("cuda")) if said else f"{tag[1]}.{tag[2]}" if tag else "",
        hip=text(said.get("hip")),
        cudnn=text(said.get("cudnn")),
        nccl=text(said.get("nccl")),
        available=devices.get("available") if isinstance(devices.get("available"), bool) else None,
        devices=[text(device.get("name")) for device in devices.get("devices", []) if isinstance(device, dict)],
        architectures=[text(name) for name in said.get("architectures") or []],
        error=text(devices.get("error")) or answer.failures.get("torch", "") or answer.failures.get("CUDA", ""),
    )


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []


def shadowing(environ: Mapping[str, str]) -> list[str]:
    """The CUDA libraries in the directories of LD_LIBRARY_PATH."""
    found = []
    for entry in environ.get("LD_LIBRARY_PATH", "").split(os.pathsep):
        # The driver's own library belongs to the system, not to torch.
        names = [name for name in _names(Path(entry)) if name.startswith(_CUDA_LIBRARIES[:-1])] if entry else []
        found += [f"{entry}/{name}" for name in sorted({name.partition(".so")[0] + ".so" for name in names})]
    return found


def report(environment: Environment) -> str:
    """A few lines that say everything which a bug report needs, the problems last, without paths of the user's home."""
    torch, limits, driver = environment.torch, environment.limits, environment.driver
    where = f" ({environment.container})" if environment.container else ""
    libraries = [f"{name} {version}" for name, version in environment.libraries.items() if name != "torch"]
    built = ", ".join(
        f"{name} {value}"
        for name, value in (("CUDA", torch.cuda), ("ROCm", torch.hip), ("cuDNN", torch.cudnn), ("NCCL", torch.nccl))
        if value
    )
    lines = [
        f"dlcoder {__version__}; {environment.system}{where}; {_tilde(environment.python)}",
        f"torch {torch.version or 'not installed'}"
        + (f" ({built or 'CPU only'})" if torch.ran else "")
        + (f"; {', '.join(libraries)}" if libraries else ""),
        f"GPUs: {_gpus(environment)}"
        + (f"; driver {driver.version}" if driver.version else "")
        + (f" (CUDA {driver.cuda})" if driver.cuda else ""),
        f"CPUs {limits.cpus_usable:g} of {limits.cpus}; memory {_size(limits.memory_available_gib)} free of "
        f"{_size(limits.memory_limit_gib or limits.memory_total_gib)}; /dev/shm {_size(limits.shm_mib, 'MiB')}; "
        f"open files {limits.open_files or 'unlimited'}",
    ]
    if limits.disks:
        lines.append("Disks: " + "; ".join(map(_disk, limits.disks[:4])))
    if environment.scheduler.name:
        values = " ".join(f"{name}={value}" for name, value in environment.scheduler.values.items())
        lines.append(f"Started by {environment.scheduler.name} {values}".rstrip())
    if environment.variables:
        lines.append(_tilde(" ".join(f"{name}={value}" for name, value in environment.variables.items()))[:300])
    lines += [f"{problem.id}: {problem.problem}"[:200] for problem in _told(environment)]
    return "\n".join(lines)


def _told(environment: Environment) -> list[Problem]:
    return [problem for problem in environment.problems if problem.severity != "note"][:_MOST_TOLD]


def evidence(environment: Environment) -> list[Evidence]:
    """The problems that lead to a known failure, as lines of the report."""
    lines = environment.report.split("\n")
    first = len(lines) - len(_told(environment)) + 1
    return [
        Evidence(cause=problem.cause, source="environment", line=number, text=lines[number - 1], supports=True)
        for number, problem in enumerate(_told(environment), first)
        if problem.cause
    ]


def _disk(disk: Disk) -> str:
    return _tilde(f"{disk.path} {disk.type} {_size(disk.free_gib)} free of {_size(disk.total_gib)}")


def _gpus(environment: Environment) -> str:
    kinds: dict[str, int] = {}
    for gpu in environment.gpus:
        size = f" {round(gpu.memory_total_mib / 1024)} GiB" if gpu.memory_total_mib else ""
        kinds[gpu.name + size] = kinds.get(gpu.name + size, 0) + 1
    if kinds:
        return ", ".join(f"{count} x {name}" for name, count in kinds.items())
    if environment.torch.devices:
        return ", ".join(environment.torch.devices)
    return "present, but no answer" if environment.driver.hardware or environment.driver.error else "none"


def _size(value: float | None, unit: str = "GiB") -> str:
    return "unknown" if value is None else f"{value:g} {unit}"


def _tilde(text: str) -> str:
    return text.replace(str(Path.home()), "~")
