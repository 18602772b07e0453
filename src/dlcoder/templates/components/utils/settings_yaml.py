"""Settings in YAML files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

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
        overrides: Settings such as `train.epochs=3`, in YAML, which win over the file.

    Raises:
        SettingsError: A setting is unknown, missing or of the wrong type.
    """
    tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    override(tree, overrides, yaml.safe_load)
    return from_mapping(cls, tree)


def save_settings(settings: Any, path: Path) -> None:
    """Write all settings, defaults included, for `load_settings` to read."""
    text = yaml.safe_dump(to_mapping(settings), sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
