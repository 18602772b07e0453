"""The options in a project's configuration files and its script, each with the file's text for any other value."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlcoder.sandbox.entry import Entry

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


def constants(project: Path, entry: Entry) -> dict[str, list[dict[str, Any]]]:
    """Numbers, texts and switches that the script sets at its top level, once, and nothing sets again.

    Args:
        project: Its directory.
        entry: Its command.

    Returns:
        The same as `config_leaves`, with `choices`: the texts that the code compares a constant with.
    """
    path = project / (entry.path or f"{entry.module.replace('.', '/')}.py")
    if not path.is_file() or path.stat().st_size > LARGEST:
        return {}
    text = path.read_text("utf-8", "replace")
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return {}
    found = []
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant | ast.UnaryOp):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if len(targets) == 1 and isinstance(targets[0], ast.Name) and _is_set_once(tree, targets[0].id):
                found += _constant(tree, text, targets[0].id, node.value)
    return {str(path.relative_to(project)): found[:MOST_LEAVES]} if found else {}


def _constant(tree: ast.Module, text: str, name: str, node: ast.expr) -> list[dict[str, Any]]:
    value = ast.literal_eval(node) if not isinstance(node, ast.UnaryOp) or _is_negative(node) else None
    if not isinstance(value, bool | int | float | str) or node.lineno != node.end_lineno:
        return []
    lines = text.splitlines(keepends=True)
    line = lines[node.lineno - 1].encode()
    changed = line[: node.col_offset] + PLACEHOLDER.encode() + line[node.end_col_offset :]
    lines[node.lineno - 1] = changed.decode()
    choices = [*dict.fromkeys([value, *_compared(tree, name)])] if isinstance(value, str) else []
    return [{"name": name, "value": value, "template": "".join(lines), "choices": choices if len(choices) > 1 else []}]


def _is_negative(node: ast.UnaryOp) -> bool:
    return isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)


def _is_set_once(tree: ast.Module, name: str) -> bool:
    """Whether a name is given a value in one place: one that is counted up is no option."""
    stores = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store)]
    return len(stores) == 1 and not name.startswith("_")


def _compared(tree: ast.Module, name: str) -> list[str]:
    """The texts that a name is compared with."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Name) and node.left.id == name:
            sides = [part for side in node.comparators for part in ast.walk(side)]
            found += [s.value for s in sides if isinstance(s, ast.Constant) and isinstance(s.value, str)]
    return found
