"""Where a project's modules are: in a package, or beside train.py."""

import re
from collections.abc import Mapping


def flat(files: Mapping[str, str], package: str) -> dict[str, str]:
    """Return a project's files with those of its package beside train.py, and everything that names them."""
    imports = re.compile(rf"^(\s*from ){package}\.", re.MULTILINE)
    paths = re.compile(rf"(?<![\w./-]){package}/")
    return {
        path.removeprefix(f"{package}/"): paths.sub("", imports.sub(r"\1", text))
        for path, text in files.items()
        if path != f"{package}/__init__.py"
    }


def top_modules(files: Mapping[str, str]) -> tuple[str, ...]:
    """The modules and packages beside train.py."""
    tops = {path.split("/")[0].removesuffix(".py") for path in files if path.endswith(".py")}
    return tuple(sorted(tops - {"tests", "configs"}))
