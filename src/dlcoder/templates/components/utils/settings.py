"""Settings: dataclasses, filled from plain values, nothing unnoticed.

An unknown key is an error that names the nearest known one, and so is a value of the
wrong type: a setting ignored in silence costs more than a run that does not start.
"""

import dataclasses
import difflib
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class SettingsError(ValueError):
    """A setting that does not exist or does not fit, by its full name."""


def from_mapping(cls: type[T], tree: Any, name: str = "") -> T:
    """Build a `cls` from nested mappings.

    Args:
        cls: A dataclass, whose fields may be dataclasses.
        tree: Values by name. Settings that it lacks keep their defaults.
        name: The full name of this part of the settings, for messages.

    Raises:
        SettingsError: A setting is unknown, missing or of the wrong type.
    """
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


def insert(tree: dict[str, Any], name: str, value: Any) -> None:
    """Put the value of a setting such as `train.epochs` into nested mappings.

    Raises:
        SettingsError: The name leads into a value.
    """
    *outer, last = name.split(".")
    for key in outer:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise SettingsError(f"{key} in {name} holds no settings.")
    tree[last] = value


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
        # 1 may stand for 1.0; and to YAML 1e-3, without a point, is a string.
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
