"""The options in a project's configuration files, each with the file's text for any other value of it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PLACEHOLDER = "__DLCODER_VALUE__"
"""Stands for the value in a template; the harness replaces it."""
LARGEST = 32 << 10
MOST_FILES = 12
MOST_LEAVES = 80
_SUFFIXES = (".yaml", ".yml", ".json", ".toml")
_SKIPPED = {".git", ".venv", "venv", "node_modules", "__pycache__", ".github", "tests"}
_TOML_LINE = re.compile(r"^(\s*)([A-Za-z_][\w-]*)(\s*=\s*)([^#\n\[{]+?|\[[^\[\]#\n]*\])(\s*(?:#.*)?)$", re.MULTILINE)


def config_leaves(project: Path, named: tuple[str, ...]) -> dict[str, list[dict[str, Any]]]:
    """Read the configuration files of a project.

    Args:
        project: Its directory.
        named: The arguments of its run: files named there come first.

    Returns:
        By relative path: `name` ("optim.lr"), `value` and `template`, the file's text with `PLACEHOLDER` as the value.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for path in list(_files(project, named))[:MOST_FILES]:
        leaves = list(_leaves_of(path))[:MOST_LEAVES]
        if leaves:
            found[str(path.relative_to(project))] = leaves
    return found


def _files(project: Path, named: tuple[str, ...]) -> Iterator[Path]:
    first = [p for word in named for p in [project / word] if p.suffix in _SUFFIXES and p.is_file()]
    rest = []
    for path in sorted(project.rglob("*")):
        inside = path.relative_to(project).parts
        if (
            path.suffix in _SUFFIXES
            and not _SKIPPED & set(inside)
            and len(inside) <= 4
            and path.name != "pyproject.toml"
        ):
            rest.append(path)
    for path in dict.fromkeys([*first, *rest]):
        inside_project = path.resolve().is_relative_to(project.resolve())
        if inside_project and path.is_file() and path.stat().st_size <= LARGEST:
            yield path


def _leaves_of(path: Path) -> Iterator[dict[str, Any]]:
    text = path.read_text("utf-8", "replace")
    if path.suffix == ".toml":
        yield from _toml_leaves(text)
        return
    tree = _parse(path.suffix, text)
    for keys, value in _walk(tree, ()):
        changed = _replaced(tree, keys)
        yield {"name": ".".join(keys), "value": value, "template": _dump(path.suffix, changed)}


def _parse(suffix: str, text: str) -> Any:
    import yaml

    try:
        return json.loads(text) if suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError):
        return None


def _dump(suffix: str, tree: Any) -> str:
    import yaml

    return json.dumps(tree, indent=1) if suffix == ".json" else yaml.safe_dump(tree, sort_keys=False)


def _walk(tree: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(tree, dict) and len(keys) < 6:
        for key, value in tree.items():
            if isinstance(key, str):
                yield from _walk(value, (*keys, key))
    elif keys and (isinstance(tree, bool | int | float | str | None) or _is_vector(tree)):
        yield keys, tree


def _is_vector(value: Any) -> bool:
    """Whether a value is a few numbers that belong together, as betas and milestones are."""
    return isinstance(value, list) and 0 < len(value) <= 8 and all(type(item) in (int, float) for item in value)


def _replaced(tree: Any, keys: tuple[str, ...]) -> Any:
    if not keys:
        return PLACEHOLDER
    return {key: _replaced(value, keys[1:]) if key == keys[0] else value for key, value in tree.items()}


def _toml_leaves(text: str) -> Iterator[dict[str, Any]]:
    """Simple `key = value` lines; a TOML file is edited in place, because nothing here writes TOML."""
    import tomllib

    section = ""
    position = 0
    for line in text.splitlines(keepends=True):
        header = re.match(r"\s*\[([\w.-]+)\]", line)
        match = _TOML_LINE.match(line.rstrip("\n"))
        if header:
            section = header.group(1) + "."
        elif match:
            try:
                value = tomllib.loads(f"x = {match.group(4)}")["x"]
            except tomllib.TOMLDecodeError:
                value = None
            if isinstance(value, bool | int | float | str) or _is_vector(value):
                start, end = position + match.start(4), position + match.end(4)
                template = text[:start] + PLACEHOLDER + text[end:]
                yield {"name": section + match.group(2), "value": value, "template": template}
        position += len(line)
