"""Which Python runs the code: found and described without executing anything of it.

A project may bring its own `.venv`, and a `.venv/bin/python` can be any program: so everything here is read from files
(`pyvenv.cfg`, the layout of `lib/`, torch's `version.py`), and the interpreter itself first starts inside the sandbox.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dlcoder.errors import UserError

_TORCH_VERSION = re.compile(r"^__version__\s*(?::\s*\w+\s*)?=\s*['\"]([^'\"]+)['\"]", re.MULTILINE)
_OLDEST = (3, 9)


@dataclass(frozen=True)
class Interpreter:
    """A Python that can run user code.

    Attributes:
        path: The executable as it is called; for a virtual environment its own link, not what that leads to.
        version: Python's version, "3.11.7" (or "3.11" where no file says more).
        torch: torch's version, "2.13.0+cpu"; empty where torch is not installed.
        prefixes: The directories that must be visible for it to start: its prefix, and its base prefix.
        site_packages: Where its packages lie; their modification times say whether a warm worker is out of date.
    """

    path: Path
    version: str
    torch: str
    prefixes: tuple[Path, ...]
    site_packages: tuple[Path, ...] = ()

    def __str__(self) -> str:
        return f"{self.path} (Python {self.version}, torch {self.torch or 'not installed'})"


async def find_interpreter(python: str | None, project: Path | None, need_torch: bool = True) -> Interpreter:
    """Find the interpreter that runs a project's code.

    Args:
        python: An executable or the directory of an environment, named by the caller; nothing else is tried then.
        project: A directory whose `.venv` or `venv` comes next.
        need_torch: Whether an interpreter without torch is passed over.

    Returns:
        `python` if given; else the first that qualifies of the project's `.venv` and `venv`, `VIRTUAL_ENV`,
        `CONDA_PREFIX` and dlcoder's own.

    Raises:
        UserError: `python` is no interpreter, is too old or lacks torch; or none of the others has torch.
    """
    if python is not None:
        return _named(python, need_torch)
    tried = []
    for candidate in _candidates(project):
        found = describe(candidate)
        if found is None:
            continue
        if _recent(found) and (found.torch or not need_torch):
            return found
        tried.append(str(found))
    raise UserError(
        "No Python with torch was found" + (f" (tried {'; '.join(tried)})." if tried else "."),
        "Install torch into the project's .venv (pip install torch), or name an interpreter that has it with `python`.",
    )


def _named(python: str, need_torch: bool) -> Interpreter:
    path = shutil.which(python) if os.sep not in python else python
    found = describe(Path(path).expanduser().absolute()) if path else None
    if found is None:
        raise UserError(
            f"{python!r} is not a Python interpreter that can be recognised by its files.",
            "Give the bin/python of a virtual environment, of a conda environment or of an installed Python "
            "(no wrapper script).",
        )
    if not _recent(found):
        raise UserError(f"{found} is too old.", "Use Python 3.9 or newer.")
    if need_torch and not found.torch:
        raise UserError(f"{found} has no torch.", f"Install it: {found.path} -m pip install torch")
    return found


def _recent(found: Interpreter) -> bool:
    return tuple(int(part) for part in found.version.split(".")[:2]) >= _OLDEST


def _candidates(project: Path | None) -> Iterator[Path]:
    if project is not None:
        yield from (project / ".venv", project / "venv")
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if value := os.environ.get(variable):
            yield Path(value)
    yield Path(sys.executable)


def describe(path: Path) -> Interpreter | None:
    """Describe the interpreter at `path` (an executable, or the directory of an environment) from its files.

    Returns:
        What was found, or `None` if nothing there looks like a Python.
    """
    if path.is_dir():
        path = path / "bin" / "python"
    if not os.access(path, os.X_OK) or not path.is_file():
        return None
    marks = [path, path.parent.parent / "pyvenv.cfg", *path.parent.parent.glob("lib/python3*/site-packages")]
    return _describe(path, tuple(mark.stat().st_mtime_ns for mark in marks if mark.exists()))


@lru_cache(maxsize=64)
def _describe(path: Path, _stamp: tuple[int, ...]) -> Interpreter | None:
    real = path.resolve()
    if re.fullmatch(r"(python|pypy)[0-9.]*t?d?", real.name) is None or not _is_elf(real):
        return None
    base = real.parent.parent
    config = _read_config(path.parent.parent / "pyvenv.cfg")
    prefix = path.parent.parent if config else base
    minor = _minor(config, real, base)
    if minor is None:
        return None
    shared = not config or config.get("include-system-site-packages", "").lower() == "true"
    packages = list(_packages(prefix, minor)) + (list(_packages(base, minor)) if shared else [])
    prefixes = [prefix.absolute(), base]
    if "home" in config:
        # The environment may have been made from a link (uv, pyenv) to the real installation: both must be visible.
        prefixes.append(Path(config["home"]).parent)
    return Interpreter(
        path=path.absolute(),
        version=_full_version(config, base, minor),
        torch=next(filter(None, map(_torch_version, packages)), ""),
        prefixes=tuple(dict.fromkeys(p for p in prefixes if p.is_dir())),
        site_packages=tuple(dict.fromkeys(packages)),
    )


def _is_elf(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def _read_config(path: Path) -> dict[str, str]:
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines())
    return {key.strip().lower(): value.strip() for key, _, value in pairs if value}


def _minor(config: dict[str, str], real: Path, base: Path) -> str | None:
    for text in (config.get("version", ""), config.get("version_info", ""), real.name.removeprefix("python")):
        if match := re.match(r"3\.\d+", text):
            return match.group()
    folders = sorted(p.name.removeprefix("python") for p in base.glob("lib/python3.*") if (p / "os.py").is_file())
    return folders[0] if len(folders) == 1 else None


def _full_version(config: dict[str, str], base: Path, minor: str) -> str:
    for text in (config.get("version", ""), config.get("version_info", "")):
        if match := re.match(r"3\.\d+\.\d+", text):
            return match.group()
    try:
        header = (base / f"include/python{minor}/patchlevel.h").read_text("utf-8", "replace")
    except OSError:
        return minor
    match = re.search(r'PY_VERSION\s+"(3\.\d+\.\d+)', header)
    return match.group(1) if match else minor


def _packages(prefix: Path, minor: str) -> Iterator[Path]:
    folders = (f"lib/python{minor}/site-packages", f"lib64/python{minor}/site-packages")
    debian = (f"local/lib/python{minor}/dist-packages", "lib/python3/dist-packages")
    yield from (prefix / folder for folder in folders + debian if (prefix / folder).is_dir())


def _torch_version(packages: Path) -> str:
    try:
        text = (packages / "torch" / "version.py").read_text("utf-8", "replace")
    except OSError:
        return ""
    match = _TORCH_VERSION.search(text)
    return match.group(1) if match else ""
