"""Imports and form of Python files, left to ruff: what is unused goes, the rest is sorted, all is formatted."""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from dlcoder.templates.kept import KEPT

_EVERYWHERE = ("--isolated", "--no-cache", "--target-version", "py310", "--quiet")
_IMPORTS = ("--fix-only", "--select", "F401,I001")
_SORTING = (
    # An import that has become short enough goes on one line.
    "lint.isort.split-on-trailing-comma=false",
    # It came after the Python that is aimed at.
    'lint.isort.extra-standard-library=["tomllib"]',
    # Folders of where this runs are no packages of the project.
    "src=[]",
)


def tidy(
    files: dict[str, str], package: str, style: tuple[str, ...] = (), modules: tuple[str, ...] = ()
) -> dict[str, str]:
    """Remove unused imports, sort the others, and format.

    Args:
        files: Texts by path.
        package: The package whose imports come last.
        style: Settings of ruff, such as `line-length=100`.
        modules: Further modules whose imports come last.
    """
    python = {path: text for path, text in files.items() if path.endswith(".py")}
    known = {path: KEPT.get("tidied", text, *style) for path, text in python.items()}
    tidied = {path: text for path, text in known.items() if text is not None}
    if new := {path: text for path, text in python.items() if path not in tidied}:
        own = f"lint.isort.known-first-party={json.dumps([package, 'train', 'evaluate', *modules])}"
        with tempfile.TemporaryDirectory(prefix="dlcoder-") as folder:
            _write(Path(folder), new)
            for command in (_check(own, style=style), _format(style)):
                subprocess.run([*command, folder], check=True, capture_output=True)
            for path, text in new.items():
                tidied[path] = Path(folder, path).read_text(encoding="utf-8")
                KEPT.put(tidied[path], "tidied", text, *style)
    return files | tidied


@contextlib.contextmanager
def tidier() -> Iterator[Callable[[str], str]]:
    """What tidies one text of no package, as `tidy` does: ruff loads while the text is still being made.

    It raises CalledProcessError where the text is no Python.
    """
    pipe, silent = subprocess.PIPE, subprocess.DEVNULL
    with (
        subprocess.Popen([*_check(), "-"], stdin=pipe, stdout=pipe, stderr=silent) as check,
        subprocess.Popen([*_format(), "-"], stdin=check.stdout, stdout=pipe, stderr=silent) as form,
    ):
        assert check.stdin and check.stdout and form.stdout
        check.stdout.close()  # of the two, it is the other's end
        try:
            yield lambda text: _passed(text, check, form)
        finally:
            check.kill()
            form.kill()


def _passed(text: str, check: "subprocess.Popen[bytes]", form: "subprocess.Popen[bytes]") -> str:
    """The text, passed through both programs."""
    assert check.stdin and form.stdout
    check.stdin.write(text.encode())
    check.stdin.close()
    result = form.stdout.read()
    for program in (check, form):
        if program.wait():
            raise subprocess.CalledProcessError(program.returncode, program.args)
    return result.decode()


def _check(*settings: str, style: tuple[str, ...] = ()) -> list[str]:
    return [_ruff(), "check", *_EVERYWHERE, *_IMPORTS, *_settings(*settings, *_SORTING, *style)]


def _format(style: tuple[str, ...] = ()) -> list[str]:
    return [_ruff(), "format", *_EVERYWHERE, *_settings(*style)]


def _settings(*settings: str) -> list[str]:
    return [part for setting in settings for part in ("--config", setting)]


def _write(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


@cache
def _ruff() -> str:
    from ruff import find_ruff_bin  # type: ignore[import-untyped]

    return str(find_ruff_bin())
