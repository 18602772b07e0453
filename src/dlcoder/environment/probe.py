"""What an interpreter can do, asked from within: run as `python -c`, standard library only, Python 3.9 or newer.

It prints one line of JSON for each finding, after a marker, and flushes it: where an import kills the process, the
reader knows which one it was. Arguments: the modules to import after torch.
"""

import functools
import importlib
import json
import platform
import sys
import sysconfig
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

MARKER = "dlcoder-environment:"


def say(kind: str, **fields: Any) -> None:
    """Print one finding."""
    # Whatever a library left on the line before is ended first.
    print(f"\n{MARKER}{json.dumps(dict(fields, kind=kind), default=str)}", flush=True)


def attempt(module: str, body: Callable[[], Any]) -> bool:
    """Call `body`, report its error, and return whether there was none."""
    say("start", module=module)
    error = ""
    try:
        body()
    except BaseException as raised:  # an import may even call sys.exit
        error = f"{type(raised).__name__}: {raised}"
    say("import", module=module, error=error)
    return not error


def describe_python() -> None:
    """Say what this interpreter is, and whether extensions can be compiled for it."""
    include = sysconfig.get_paths().get("include") or ""
    say("python", version=platform.python_version(), headers=(Path(include) / "Python.h").is_file())


def version_of(number: int) -> str:
    """Turn cuDNN's number into a version: 8902 is 8.9.2, 90100 is 9.1.0."""
    major = 10000 if number >= 90000 else 1000
    return f"{number // major}.{number % major // 100}.{number % 100}"


def describe_torch(torch: Any) -> None:
    """Say what torch was built with."""
    facts = {"version": torch.__version__, "cuda": torch.version.cuda, "hip": getattr(torch.version, "hip", None)}
    try:
        number = torch.backends.cudnn.version()
        facts["cudnn"] = version_of(number) if number else ""
        facts["architectures"] = torch.cuda.get_arch_list()
        facts["distributed"] = torch.distributed.is_available()
        if facts["cuda"] and facts["distributed"] and torch.distributed.is_nccl_available():
            facts["nccl"] = ".".join(str(part) for part in torch.cuda.nccl.version())
    except Exception as error:
        facts["incomplete"] = str(error)
    say("torch", **facts)


def describe_devices(torch: Any) -> None:
    """Say which GPUs torch can use, or why it cannot."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        available = bool(torch.cuda.is_available())
    error = " ".join(str(entry.message) for entry in caught)
    devices = []
    try:
        if torch.version.cuda or torch.version.hip:
            torch.cuda.init()
        for index in range(torch.cuda.device_count() if available else 0):
            major, minor = torch.cuda.get_device_capability(index)
            devices.append({"name": torch.cuda.get_device_name(index), "capability": f"{major}.{minor}"})
    except Exception as raised:
        error = str(raised)
    say("devices", available=available, devices=devices, error=error)


def main(modules: list[str]) -> None:
    """Report everything, the surest first."""
    describe_python()
    loaded: list[Any] = []
    if attempt("torch", lambda: loaded.append(importlib.import_module("torch"))):
        torch = loaded[0]
        describe_torch(torch)
        attempt("numpy bridge", lambda: torch.zeros(1).numpy())
        attempt("CUDA", lambda: describe_devices(torch))
    for module in modules:
        attempt(module, functools.partial(importlib.import_module, module))


if __name__ == "__main__":
    main(sys.argv[1:])
