"""Which files of a project are reviewed."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from dlcoder.errors import UserError
from dlcoder.paths import own_files

_MOST_FILES = 2000
_MOST_BYTES = 2 << 20


def python_files(paths: list[Path]) -> Iterator[Path]:
    """The Python files among `paths` and in the folders among them, without environments and hidden folders.

    Raises:
        UserError: A path does not exist or is no Python file, a folder holds none or too many.
    """
    for path in paths:
        if path.is_dir():
            found = list(islice(own_files(path, {".py"}, but=("build", "dist", "env")), _MOST_FILES + 1))
            if not found:
                raise UserError(f"{path} holds no Python file.", "Name the folder of the training code.")
            if len(found) > _MOST_FILES:
                problem = f"{path} holds more than {_MOST_FILES} Python files."
                raise UserError(problem, "Name the folder of the training code.")
            yield from found
        elif not path.is_file():
            raise UserError(f"{path} does not exist.", "Name a Python file or a folder.")
        elif path.suffix not in (".py", ".pyi"):
            raise UserError(f"{path.name} is no Python file.", "Name files that end in .py, or pass `code`.")
        else:
            yield path


def read(path: Path) -> str:
    """The text of a file.

    Raises:
        UserError: It is too large, or no UTF-8.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UserError(f"{path.name} is larger than {_MOST_BYTES >> 20} MiB.", "Leave it out.")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path.name} cannot be read: {error.strerror}.", "Make it readable.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path.name} is no UTF-8 text.", "Leave it out, or convert it.") from None
