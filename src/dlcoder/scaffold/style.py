"""How a project writes its Python: what a file that is added to it must look like."""

import re
import tokenize
import tomllib
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from dlcoder.paths import own_files

_ENOUGH = 200
_DEFAULT_WIDTH = 88


@dataclass(frozen=True)
class Style:
    """What a project's files have in common.

    Attributes:
        line_length: Columns.
        quotes: "double" or "single".
        relative_imports: Whether modules of the package import each other by `from .x import y`.
        package: Where the package lies, relative to the project; "." where modules lie in the project itself.
        import_name: What it is imported as; empty where there is no package.
    """

    line_length: int
    quotes: str
    relative_imports: bool
    package: Path
    import_name: str


def style_of(root: Path) -> Style:
    """Read a project's style from its configuration and its files."""
    files = list(islice(own_files(root, {".py"}, but=("build", "dist", "docs", "env")), _ENOUGH))
    package = _package(root, files)
    name = "" if package == Path() else ".".join(part for part in package.parts if part != "src")
    texts = [_read(file) for file in files]
    return Style(
        line_length=_configured_width(root) or _usual_width(texts),
        quotes=_quotes(files),
        relative_imports=_is_relative(texts, name),
        package=package,
        import_name=name,
    )


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def _package(root: Path, files: list[Path]) -> Path:
    """The folder with an `__init__.py` that holds the most modules, tests aside."""
    tops: Counter[Path] = Counter()
    for file in files:
        relative = file.relative_to(root)
        base = Path("src") if relative.parts[0] == "src" else Path()
        inner = relative.relative_to(base).parts
        if len(inner) > 1 and inner[0] not in ("tests", "test", "scripts"):
            top = base / inner[0]
            if (root / top / "__init__.py").is_file():
                tops[top] += 1
    return tops.most_common(1)[0][0] if tops else Path()


def _configured_width(root: Path) -> int:
    """The line length that the project's formatter is told; 0 if it is told none."""
    for name, keys in (("ruff.toml", ()), (".ruff.toml", ()), ("pyproject.toml", ("tool",))):
        try:
            found = tomllib.loads((root / name).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
            continue
        for key in keys:
            found = found.get(key, {})
        tools = [found] if not keys else [found.get("ruff", {}), found.get("black", {}), found.get("yapf", {})]
        for tool in tools:
            for key in ("line-length", "line_length", "column_limit"):
                if isinstance(tool, dict) and isinstance(tool.get(key), int):
                    return int(tool[key])
    for name in ("setup.cfg", "tox.ini", ".flake8", ".editorconfig"):
        if (root / name).is_file():
            found_line = re.search(r"max[-_]line[-_]length\s*=\s*(\d+)", _read(root / name))
            if found_line:
                return int(found_line[1])
    return 0


def _usual_width(texts: list[str]) -> int:
    """The least usual line length that hardly any line goes beyond."""
    lengths = [len(line) for text in texts for line in text.splitlines() if len(line) > 60]
    if len(lengths) < 20:
        return _DEFAULT_WIDTH
    for width in (79, 88, 100, 120):
        if sum(length > width for length in lengths) <= 0.01 * len(lengths):
            return width
    return 120


def _quotes(files: list[Path]) -> str:
    counts: Counter[str] = Counter()
    for file in files[:50]:
        try:
            with file.open("rb") as stream:
                for token in tokenize.tokenize(stream.readline):
                    if token.type == tokenize.STRING and not re.match(r"""\w*("{3}|'{3})""", token.string):
                        text = token.string.lstrip("rbfuRBFU")
                        # A string that holds the other quote had no choice.
                        if not {'"', "'"} <= set(text):
                            counts[text[0]] += 1
        except (tokenize.TokenError, SyntaxError, UnicodeDecodeError):
            continue
    return "single" if counts["'"] > counts['"'] else "double"


def _is_relative(texts: list[str], name: str) -> bool:
    relative = sum(len(re.findall(r"^from \.", text, re.MULTILINE)) for text in texts)
    absolute = sum(len(re.findall(rf"^(?:from|import) {re.escape(name)}\b", text, re.MULTILINE)) for text in texts)
    return bool(name) and relative > absolute
