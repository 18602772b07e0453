"""Settings in JSON files."""

import json
import math
from pathlib import Path
from typing import Any, TypeVar

from dlcoder.templates.components.utils.settings import from_mapping, to_mapping

T = TypeVar("T")


def load_settings(cls: type[T], path: Path) -> T:
    """Read settings of type `cls`, a dataclass, from a file.

    Raises:
        SettingsError: A setting is unknown, missing or of the wrong type.
    """
    return from_mapping(cls, json.loads(path.read_text(encoding="utf-8")))


def save_settings(settings: Any, path: Path) -> None:
    """Write all settings, defaults included, for `load_settings` to read."""
    path.write_text(to_json(to_mapping(settings)), encoding="utf-8")


def to_json(tree: dict[str, Any]) -> str:
    """Write nested mappings of plain values as JSON, which knows no infinity."""
    return json.dumps(_finite(tree), indent=2, ensure_ascii=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    # A string, which `from_mapping` takes for a number where one is due.
    return str(value) if isinstance(value, float) and math.isinf(value) else value
