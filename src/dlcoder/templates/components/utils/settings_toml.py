"""Settings in TOML files."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from dlcoder.templates.components.utils.overrides import override
from dlcoder.templates.components.utils.settings import (
    from_mapping,
    to_mapping,
)

T = TypeVar("T")


def load_settings(cls: type[T], path: Path, overrides: Sequence[str] = ()) -> T:
    """Read settings of type `cls`, a dataclass, from a file.

    Args:
        cls: What the file holds. Settings that it lacks keep their defaults.
        path: The file.
        overrides: Settings such as `train.epochs=3`, in TOML, which win over the file;
            the quotes of a string may be left out.

    Raises:
        SettingsError: A setting is unknown, missing or of the wrong type.
    """
    tree = tomllib.loads(path.read_text(encoding="utf-8"))
    override(tree, overrides, _value)
    return from_mapping(cls, tree)


def save_settings(settings: Any, path: Path) -> None:
    """Write all settings, defaults included, for `load_settings` to read.

    TOML has no null: a setting that is None is left out, and gets its default again.
    """
    path.write_text(to_toml(to_mapping(settings)), encoding="utf-8")


def to_toml(tree: Mapping[str, Any], table: str = "") -> str:
    """Write nested mappings of plain values and lists as TOML."""
    plain = {key: value for key, value in tree.items() if not isinstance(value, dict)}
    nested = {key: value for key, value in tree.items() if isinstance(value, dict)}
    lines = [f"[{table}]\n"] if table and (plain or not nested) else []
    lines += [
        f"{key} = {_literal(value)}\n"
        for key, value in plain.items()
        if value is not None
    ]
    tables = [
        to_toml(value, f"{table}.{key}" if table else key)
        for key, value in nested.items()
    ]
    return "\n".join(part for part in ["".join(lines), *tables] if part)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    """A basic string: backslash, quote and control characters are escaped."""
    escaped = "".join(
        f"\\u{ord(char):04x}" if char < " " or char in '"\\\x7f' else char
        for char in text
    )
    return f'"{escaped}"'


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
