"""Where the data of a project lies: its file system decides how fast a GPU is fed."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_VARIABLES = re.compile(r"(?:(?:\w+_)?DATA(?:SET)?S?(?:_?(?:DIR|ROOT|PATH|HOME|CACHE))?|(?:HF|TORCH)_HOME)")
_SCRATCH = ("SLURM_TMPDIR", "TMPDIR", "SCRATCH")
_SETTING = re.compile(r"""^\s*["']?\w*(?:root|path|dir|folder)["']?\s*[:=]\s*["']?([~/][^"'\s,#]+)""", re.MULTILINE)
_FOLDERS = ("data", "datasets", "dataset")
_LARGEST = 1 << 16
_MOST = 12


def data_folders(project: Path, environ: Mapping[str, str]) -> list[Path]:
    """The directories that exist and may hold data: named by the project, by its settings, by the environment.

    Args:
        project: Where the work is.
        environ: The variables of this process.
    """
    found = [*_of_project(project), *_of_environment(environ)]
    return list(dict.fromkeys(path for path in found if path.is_dir()))[:_MOST]


def _of_project(project: Path) -> Iterator[Path]:
    for name in _FOLDERS:
        # A link leads to where the data is.
        yield Path(os.path.realpath(project / name))
    for config in sorted((project / "configs").glob("*.*")):
        if config.is_file() and config.stat().st_size <= _LARGEST:
            for named in _SETTING.findall(config.read_text("utf-8", "replace")):
                yield Path(named).expanduser()


def _of_environment(environ: Mapping[str, str]) -> Iterator[Path]:
    for name, value in environ.items():
        if value.startswith(("/", "~")) and (_VARIABLES.fullmatch(name) or name in _SCRATCH):
            yield Path(value).expanduser()
