"""Settings: dataclasses, filled from YAML and the command line, nothing unnoticed.

An unknown key is an error that names the nearest known one, and so is a value of the
wrong type: a setting ignored in silence costs more than a run that does not start.
"""

import dataclasses
import difflib
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

T = TypeVar("T")


class SettingsError(ValueError):
    """A setting that does not exist or does not fit, by its full name."""


def load_settings(cls: type[T], path: Path, overrides: Sequence[str] = ()) -> T:
    """Read settings of type `cls` from a YAML file.

    Args:
        cls: A dataclass, whose fields may be dataclasses.
        path: The file. Settings that it lacks keep their defaults.
        overrides: Further settings such as `train.epochs=3`, which win over the file.

    Raises:
        SettingsError: A setting is unknown, missing or of the wrong type.
    """
    tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    for override in overrides:
        name, separator, value = override.partition("=")
        if not separator:
            raise SettingsError(f"{override!r} has no value: write NAME=VALUE.")
        _insert(tree, name.split("."), yaml.safe_load(value))
    return from_mapping(cls, tree)


def from_mapping(cls: type[T], tree: Any, name: str = "") -> T:
    """Build a `cls` from nested mappings, with the errors of `load_settings`."""
    if not isinstance(tree, Mapping):
        raise SettingsError(f"{name or 'The file'} must hold settings, not {tree!r}.")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in tree:
        if key not in fields:
            raise SettingsError(_unknown(str(key), list(fields), name))
    missing = [
        _join(name, key)
        for key, field in fields.items()
        if key not in tree and _is_required(field)
    ]
    if missing:
        raise SettingsError(f"Missing settings: {', '.join(missing)}.")
    types_ = get_type_hints(cls)
    return cls(
        **{
            key: _convert(types_[key], value, _join(name, key))
            for key, value in tree.items()
        }
    )


def to_mapping(settings: Any) -> dict[str, Any]:
    """Return settings as nested plain values, which `from_mapping` takes back."""
    return {
        field.name: to_mapping(value)
        if dataclasses.is_dataclass(value := getattr(settings, field.name))
        else list(value)
        if isinstance(value, tuple)
        else value
        for field in dataclasses.fields(settings)
    }


def _convert(kind: Any, value: Any, name: str) -> Any:
    """Return `value` as a `kind`, or say why it is none."""
    if dataclasses.is_dataclass(kind):
        return from_mapping(kind, value, name)  # type: ignore[arg-type]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (kind,) = (argument for argument in arguments if argument is not type(None))
        return _convert(kind, value, name)
    if origin is Literal:
        if value in arguments:
            return value
        raise SettingsError(f"{name} must be one of {arguments}, not {value!r}.")
    if origin is tuple:
        if isinstance(value, list):
            return tuple(_convert(arguments[0], item, name) for item in value)
        raise SettingsError(f"{name} must be a list, not {value!r}.")
    return _scalar(kind, value, name)


def _scalar(kind: type[Any], value: Any, name: str) -> Any:
    if kind is float and isinstance(value, int | str) and not isinstance(value, bool):
        # YAML takes 1 for an integer, and 1e-3, without a point, for a string.
        try:
            return float(value)
        except ValueError:
            pass
    # type(), because True is an int for isinstance.
    elif type(value) is kind:
        return value
    if kind is float and type(value) is float:
        return value
    raise SettingsError(f"{name} must be {kind.__name__}, not {value!r}.")


def _insert(tree: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise SettingsError(f"{key} in {'.'.join(keys)} holds no settings.")
    tree[keys[-1]] = value


def _unknown(key: str, known: list[str], name: str) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {_join(name, near[0])}?" if near else f"known: {known}"
    return f"Unknown setting {_join(name, key)}; {hint}"


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return (
        field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    )


def _join(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key
