"""What can be wrong with torch and the libraries around it."""

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from dlcoder.environment.facts import Facts, from_message, sentence
from dlcoder.environment.model import Problem
from dlcoder.environment.packages import Installed, normalized
from dlcoder.environment.support import find, support

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

_OLDEST_TORCH = (2, 2)
# A package that asks for another version of one of these does not merely lack a feature: it crashes or misbehaves.
_WATCHED = re.compile(r"torch|torchvision|torchaudio|triton|numpy|nvidia-.*|cuda-.*")


def torch_missing(facts: Facts) -> Iterator[Problem]:
    """There is no torch, or a very old one."""
    version = facts.torch.version
    if not version:
        yield Problem(
            id="no-torch",
            severity="blocks",
            problem="torch is not installed for this interpreter.",
            consequence="Nothing can be trained or checked with it.",
            fix="pip install torch into it, or name the interpreter of your project with `python`.",
            cause="env-missing-module",
            source="site-packages",
        )
    elif tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < _OLDEST_TORCH:
        yield Problem(
            id="torch-old",
            severity="note",
            problem=f"torch {version} is older than 2.2.",
            consequence="The checks of dlcoder do not run with it.",
            fix="pip install --upgrade torch",
            cause="env-api-removed",
            source="site-packages",
        )


def imports(facts: Facts) -> Iterator[Problem]:
    """An import failed just now."""
    explained = {entry.name for entry in _mixed(facts)}
    for module, error in facts.answer.failures.items():
        if module == "CUDA" or module in explained or (module == "numpy bridge" and not facts.version("numpy")):
            continue
        known = find(support().import_errors, error)
        if module == "numpy bridge":
            known = find(support().import_errors, "numpy.core.multiarray failed to import")
        yield Problem(
            id="import-fails",
            severity="blocks" if module in ("torch", "numpy bridge") else "risk",
            problem=f"{_what(module)} fails: {error.rstrip('.')}.",
            consequence=sentence(known.consequence) if known else "Every script that imports it ends there.",
            fix=known.fix if known else f"Reinstall it: pip install --force-reinstall {module}",
            cause=known.cause if known else "env-abi",
            source="import",
        )


def _what(module: str) -> str:
    return "torch.Tensor.numpy()" if module == "numpy bridge" else f"import {module}"


def no_gpu(facts: Facts) -> Iterator[Problem]:
    """There is a GPU, and torch cannot use it."""
    torch, nvidia = facts.torch, facts.nvidia
    if not torch.version:
        return
    if not nvidia.gpus and not nvidia.driver.hardware:
        if torch.cuda and torch.available is not True:
            yield Problem(
                id="no-gpu",
                severity="note",
                problem=f"torch is built for CUDA {torch.cuda}, but no NVIDIA GPU can be seen here.",
                consequence="torch.cuda.is_available() is False; device='auto' means the CPU.",
                fix="In a container: --gpus all; in Slurm: --gres=gpu:1; in Kubernetes: nvidia.com/gpu. Else nothing.",
                cause="cuda-unavailable",
                source="/dev, /sys/bus/pci",
            )
    elif not torch.cuda and not torch.hip and (torch.ran or "+cpu" in torch.version):
        yield Problem(
            id="cpu-build",
            severity="blocks",
            problem=f"torch {torch.version} is built for the CPU, but there is an NVIDIA GPU.",
            consequence="torch.cuda.is_available() is False: training runs on the CPU.",
            fix="pip uninstall -y torch && pip install torch, from an index with CUDA builds (pytorch.org).",
            cause="cuda-unavailable",
            source="torch.version",
        )
    elif torch.available is False and nvidia.gpus:
        known = find(support().cuda_errors, torch.error)
        if known:
            yield from_message(known, "torch.cuda.init()", torch.error)
            return
        yield Problem(
            id="cuda-unavailable",
            severity="risk",
            problem=f"The driver lists {len(nvidia.gpus)} GPU(s), but torch could not use any inside the sandbox"
            + (f": {torch.error}" if torch.error else "."),
            consequence="Checks with device='cuda' fail; training outside may, too.",
            fix='Compare outside: python -c "import torch; torch.cuda.init()". If that works, it is the sandbox.',
            cause="cuda-unavailable",
            source="torch.cuda.init()",
        )


def architectures(facts: Facts) -> Iterator[Problem]:
    """A GPU for which torch has no kernels."""
    built = facts.torch.architectures
    for gpu in facts.nvidia.gpus:
        if built and gpu.compute_capability and not runs_on(built, gpu.compute_capability):
            yield Problem(
                id="no-kernel-image",
                severity="blocks",
                problem=f"GPU {gpu.index} ({gpu.name}) is sm_{gpu.compute_capability.replace('.', '')}; "
                f"torch {facts.torch.version} is built for {' '.join(built)}.",
                consequence="The first kernel fails: 'no kernel image is available for execution on the device'.",
                fix="Install a torch built for it: a newer CUDA for a newer GPU, an older torch for an older GPU.",
                cause="cuda-arch-mismatch",
                source="torch.cuda.get_arch_list()",
            )
            return


def runs_on(built: list[str], capability: str) -> bool:
    """Whether code for one of the architectures in `built` ("sm_80", "compute_90") runs on `capability` ("8.6").

    Machine code runs on the same major version from its minor version on; PTX is compiled for everything newer; the
    suffix a binds code to exactly one architecture, f to its family.
    """
    major, _, minor = capability.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        return True
    device = (int(major), int(minor))
    for name in built:
        match = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", name)
        if match is None:
            continue
        code = (int(match[2]), int(match[3]))
        if code == device:
            return True
        if match[4] != "a" and code[0] == device[0] and code[1] <= device[1]:
            return True
        if match[1] == "compute" and not match[4] and code <= device:
            return True
    return False


def _mixed(facts: Facts) -> list[Installed]:
    """The companions of torch that are built for something else than torch."""
    torch = next((entry for entry in facts.installed if entry.name == "torch"), None)
    if torch is None or not torch.build:
        return []
    companions = (entry for entry in facts.installed if entry.name in ("torchvision", "torchaudio"))
    return [entry for entry in companions if entry.build and entry.build != torch.build]


def builds(facts: Facts) -> Iterator[Problem]:
    """Torch and its companions are built for different things."""
    torch = facts.version("torch")
    for entry in _mixed(facts):
        error = facts.answer.failures.get(entry.name, "").rstrip(".")
        yield Problem(
            id="mixed-builds",
            severity="risk",
            problem=f"torch {torch} beside {entry.name} {entry.version}: of different builds.",
            consequence=f"import {entry.name} fails: {error}."
            if error
            else f"Operators of {entry.name} fail: undefined symbol, no such operator, or a missing CUDA library.",
            fix=f"pip install --force-reinstall torch {entry.name}, both from the same index "
            f"({torch.partition('+')[2]}).",
            cause="env-abi",
            source="import" if error else "site-packages",
        )


def requirements(facts: Facts) -> Iterator[Problem]:
    """Somebody needs another version of torch, NumPy or a CUDA library than the one that is installed."""
    present = {entry.name: entry.version for entry in reversed(facts.installed)}
    broken: dict[str, list[str]] = {}
    for entry in facts.installed:
        for name, specifier in _needs(entry, facts.python):
            if not _satisfied(specifier, present.get(name, "")):
                broken.setdefault(name, []).append(f"{entry.name} {entry.version} needs {name}{specifier}")
    for name, needs in broken.items():
        yield _unsatisfied(name, present[name], needs)


def _needs(entry: Installed, python: str) -> Iterator[tuple[str, "SpecifierSet"]]:
    """What `entry` requires of the libraries that matter, under this version of Python and without extras."""
    from packaging.requirements import InvalidRequirement, Requirement

    settings = {"python_version": ".".join(python.split(".")[:2]), "python_full_version": python, "extra": ""}
    for text in entry.requires:
        name = normalized(re.split(r"[^\w.-]", text, maxsplit=1)[0])
        if not _WATCHED.fullmatch(name):
            continue
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue
        if wanted.marker is None or wanted.marker.evaluate(settings):
            yield name, wanted.specifier


def _satisfied(specifier: "SpecifierSet", version: str) -> bool:
    from packaging.version import InvalidVersion

    if not version:
        # Not installed at all: conda and system packages satisfy requirements that pip does not see.
        return True
    try:
        return specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return True


def _unsatisfied(name: str, version: str, needs: list[str]) -> Problem:
    cuda = name.startswith(("nvidia-", "cuda-"))
    more = f" and {len(needs) - 3} more" if len(needs) > 3 else ""
    who = " ".join(need.split(" ")[0] for need in needs[:3])
    return Problem(
        id="requirement-broken",
        severity="risk",
        problem=f"{'; '.join(needs[:3])}{more}; {version} is installed.",
        consequence="torch loads another library than it was built with: errors or wrong results."
        if cuda
        else "Built or written for the other version: undefined symbols or changed functions.",
        fix=f"pip install --force-reinstall {who}" if cuda else f"pip install --upgrade {who} {name}, together.",
        cause="cuda-library-load" if cuda else "env-numpy" if name == "numpy" else "env-abi",
        source="site-packages",
    )


def clashes(facts: Facts) -> Iterator[Problem]:
    """Versions that are known not to work together."""
    for clash in support().clashes:
        first = _match(facts, clash.package)
        others = [found for other in clash.others if first and (found := _match(facts, other))]
        if others:
            yield Problem(
                id="versions-clash",
                severity="risk",
                problem=f"{first} is installed beside {', '.join(others)}.",
                consequence=sentence(clash.consequence),
                fix=clash.fix,
                cause=clash.cause,
                source="site-packages",
            )
    for group in support().same_files:
        present = [name for name in group if facts.version(name)]
        if len(present) > 1:
            yield Problem(
                id="same-files",
                severity="risk",
                problem=f"{' and '.join(present)} are installed together.",
                consequence="They write the same files: what is loaded is a mixture of both.",
                fix=f"pip uninstall -y {' '.join(present)}, then install the one that you need.",
                cause="cuda-library-load" if present[0].startswith("nvidia-") else "env-abi",
                source="site-packages",
            )


def _match(facts: Facts, requirement: str) -> str:
    """The installed distribution, with its version, that `requirement` is about and that satisfies it."""
    from packaging.requirements import Requirement

    wanted = Requirement(requirement)
    version = facts.version(wanted.name)
    return f"{wanted.name} {version}" if version and _satisfied(wanted.specifier, version) else ""


def twice(facts: Facts) -> Iterator[Problem]:
    """Two versions of a distribution in one directory."""
    seen: dict[tuple[str, str], str] = {}
    for entry in facts.installed:
        if not _WATCHED.fullmatch(entry.name):
            continue
        other = seen.setdefault((entry.name, str(entry.folder)), entry.version)
        if other != entry.version:
            yield Problem(
                id="installed-twice",
                severity="risk",
                problem=f"{entry.name} is recorded as {other} and as {entry.version} in one directory.",
                consequence="An installation broke off or two installers met: files of both versions are mixed.",
                fix=f"pip uninstall -y {entry.name} (twice), then install it again.",
                cause="env-abi",
                source="site-packages",
            )


def shadowed(facts: Facts) -> Iterator[Problem]:
    """LD_LIBRARY_PATH puts other CUDA libraries before torch's."""
    if facts.shadowing and (facts.torch.cuda or not facts.torch.ran):
        yield Problem(
            id="libraries-shadowed",
            severity="risk",
            problem=f"LD_LIBRARY_PATH leads to {', '.join(facts.shadowing[:3])}, which torch brings along, too.",
            consequence="torch may load those: undefined symbols, 'CUDNN_STATUS_NOT_INITIALIZED' or a wrong NCCL.",
            fix="unset LD_LIBRARY_PATH for training.",
            cause="cuda-library-load",
            source="LD_LIBRARY_PATH",
        )


def compiling(facts: Facts) -> Iterator[Problem]:
    """torch.compile and extensions lack what they need."""
    python = facts.answer.facts.get("python", {})
    lacks = {}
    if not facts.compiler:
        lacks["a C compiler"] = "apt install gcc g++ (or your distribution's)"
    if facts.answer.ran and not python.get("headers", True):
        lacks["Python.h"] = f"apt install python{'.'.join(facts.python.split('.')[:2])}-dev"
    if facts.torch.cuda and facts.answer.ran and not facts.version("triton") and not facts.version("pytorch-triton"):
        lacks["triton"] = "pip install triton"
    if facts.torch.version and lacks:
        yield Problem(
            id="cannot-compile",
            severity="note",
            problem=f"Missing: {', '.join(lacks)}.",
            consequence="torch.compile fails at the first call"
            + ("." if list(lacks) == ["triton"] else ", and extensions cannot be built."),
            fix=f"{'; '.join(lacks.values())}; or train without torch.compile.",
            cause="compile-backend",
            source="PATH, include directory",
        )
    built, toolkit = facts.torch.cuda.partition(".")[0], facts.toolkit.partition(".")[0]
    if built and toolkit and built != toolkit:
        yield Problem(
            id="toolkit-mismatch",
            severity="note",
            problem=f"nvcc is of CUDA {facts.toolkit}, torch of {facts.torch.cuda}.",
            consequence="CUDA extensions (flash-attn, apex, mmcv) do not build: 'detected CUDA version mismatches'.",
            fix=f"Put nvcc of CUDA {facts.torch.cuda} first (CUDA_HOME, PATH), or install built wheels.",
            cause="env-build",
            source="nvcc --version",
        )


def not_asked(facts: Facts) -> Iterator[Problem]:
    """The interpreter could not be asked."""
    if facts.torch.version and not facts.answer.ran:
        yield Problem(
            id="not-imported",
            severity="note",
            problem=f"torch was not imported, its files were read: {facts.answer.reason.rstrip('.') or 'no answer'}.",
            consequence="Whether it loads and sees the GPUs is not known.",
            fix='Run it yourself: python -c "import torch; print(torch.cuda.is_available())"',
            source="sandbox",
        )


RULES: tuple[Callable[[Facts], Iterator[Problem]], ...] = (
    torch_missing,
    imports,
    no_gpu,
    architectures,
    builds,
    requirements,
    clashes,
    twice,
    shadowed,
    not_asked,
    compiling,
)
