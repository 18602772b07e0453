"""A tool's arguments as options of a command, made from the very model that the server publishes."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dlcoder.errors import UserError

_POSITIONALS = ("template", "path", "paths", "topic", "query")
"""What a person would not want to name, in the order in which it stands on the line."""


def add_arguments(parser: argparse.ArgumentParser, model: type[BaseModel]) -> None:
    """Give `parser` an argument for every field of `model`, and for the plain fields of the models inside it."""
    fields = _fields(model)
    for name in [name for name in _POSITIONALS if name in fields]:
        _add_positional(parser, name, fields[name])
    for name, field in fields.items():
        if name not in _POSITIONALS:
            _add_option(parser, name, name, field)
    for name, field in fields.items():
        inner = _model(field)
        if inner is None:
            continue
        group = parser.add_argument_group(f"parts of --{_flag(name)}")
        for part, inner_field in _fields(inner).items():
            if part not in fields and _is_plain(inner_field):
                _add_option(group, f"{name}.{part}", part, inner_field)


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by the names that a caller knows: `validate`, which Python code must call `validate_`."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def collect_arguments(options: argparse.Namespace, model: type[BaseModel]) -> dict[str, Any]:
    """What was given on the line, as the arguments of a call; what was not given is left out.

    Raises:
        UserError: A file cannot be read, or a part of a nested argument is malformed.
    """
    given = {name: value for name, value in vars(options).items() if value is not None}
    arguments: dict[str, Any] = {}
    for name, field in _fields(model).items():
        value = given.get(name)
        if value is None or (isinstance(value, list) and not value):
            continue
        arguments[name] = _read(name, value, field)
    for name, value in given.items():
        owner, dot, part = name.partition(".")
        if dot and owner in _fields(model):
            arguments.setdefault(owner, {})[part] = _text(part, value) if isinstance(value, str) else value
    if arguments.get("paths") and "-" in arguments["paths"] and "log" in _fields(model):
        arguments["paths"] = [path for path in arguments["paths"] if path != "-"]
        arguments = {name: value for name, value in arguments.items() if name != "paths" or value}
        arguments["log"] = sys.stdin.buffer.read().decode("utf-8", "replace")
    return arguments


def _add_positional(parser: argparse.ArgumentParser, name: str, field: FieldInfo) -> None:
    some, at_most_one = ("+", None) if field.is_required() else ("*", "?")
    nargs = some if _is_list(field) else at_most_one
    choices = _choices(field)
    parser.add_argument(name, nargs=nargs, choices=choices, default=None, help=_help(field), metavar=name.upper())


def _add_option(parser: Any, dest: str, name: str, field: FieldInfo) -> None:
    flag = f"--{_flag(name)}"
    if _inner(field) is bool:
        action = argparse.BooleanOptionalAction
        parser.add_argument(flag, dest=dest, action=action, default=None, help=_help(field))
    elif _is_list(field):
        parser.add_argument(flag, dest=dest, action="append", metavar="A,B", help=_help(field))
    elif _is_mapping(field):
        note = "a part as NAME=VALUE, a whole as JSON or a YAML, JSON or TOML file; repeatable"
        parser.add_argument(flag, dest=dest, action="append", metavar="PART", help=f"{_help(field)} ({note})")
    elif choices := _choices(field):
        parser.add_argument(flag, dest=dest, choices=choices, help=_help(field))
    else:
        kind = _inner(field)
        metavar = {int: "N", float: "X"}.get(kind, "TEXT") if isinstance(kind, type) else "TEXT"
        parser.add_argument(flag, dest=dest, metavar=metavar, help=_help(field))


def _read(name: str, value: Any, field: FieldInfo) -> Any:
    if _is_mapping(field):
        return read_parts(name, value)
    if _is_list(field):
        return [item for text in value for item in (text.split(",") if name not in _POSITIONALS else [text])]
    return _text(name, value) if isinstance(value, str) and name not in _POSITIONALS else value


def _text(name: str, value: str) -> str:
    """A text itself, or that of a file: `@FILE`, or `-` for standard input."""
    if value == "-":
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    return _file(name, Path(value[1:])) if value.startswith("@") else value


def _file(name: str, path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        problem = f"{name}: {str(path)!r} cannot be read: {error.strerror}."
        raise UserError(problem, "Give a readable file.") from None


def read_parts(name: str, items: Sequence[str]) -> dict[str, Any]:
    """Put a nested argument together from `a.b=value` items, JSON objects and files, later ones winning.

    Raises:
        UserError: An item is none of these.
    """
    whole: dict[str, Any] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if item.lstrip().startswith("{"):
            part = _loaded(name, item, "json")
        elif equals and all(word.isidentifier() for word in key.split(".")):
            part = _scalar(value)
            for word in reversed(key.split(".")):
                part = {word: part}
        else:
            path = Path(item)
            part = _loaded(name, _file(name, path), path.suffix.lstrip("."))
        if not isinstance(part, Mapping):
            raise UserError(f"{name}: {item[:60]!r} holds no mapping.", f"Give --{_flag(name)} NAME=VALUE.")
        _merge(whole, part)
    return whole


def _loaded(name: str, text: str, form: str) -> Any:
    try:
        if form == "json":
            return json.loads(text)
        if form == "toml":
            import tomllib

            return tomllib.loads(text)
        import yaml

        return yaml.safe_load(text)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{name}: the {form or 'YAML'} cannot be parsed: {reason}.", "Correct it.") from None


def _scalar(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"none": None, "True": True, "False": False, "None": None}.get(text, text)


def _merge(whole: dict[str, Any], part: Mapping[str, Any]) -> None:
    for key, value in part.items():
        if isinstance(value, Mapping) and isinstance(whole.get(key), dict):
            _merge(whole[key], value)
        else:
            whole[key] = dict(value) if isinstance(value, Mapping) else value


def _flag(name: str) -> str:
    return name.replace("_", "-")


def _help(field: FieldInfo) -> str:
    text = (field.description or "").rstrip(".").replace("%", "%%")
    default = field.default
    if field.is_required() or default in (None, "", [], False) or not isinstance(default, str | int | float | list):
        return text
    shown = "on" if default is True else default
    return f"{text} (default: {','.join(map(str, shown)) if isinstance(shown, list) else shown})".lstrip()


def _inner(field: FieldInfo) -> Any:
    """The field's type without `None` and without validators; the first type of a union."""
    annotation = field.annotation
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(part for part in get_args(annotation) if part is not NoneType)
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _choices(field: FieldInfo) -> list[str] | None:
    inner = _inner(field)
    return [str(choice) for choice in get_args(inner)] if get_origin(inner) is Literal else None


def _is_list(field: FieldInfo) -> bool:
    return get_origin(_inner(field)) in (list, tuple, set, frozenset, Sequence)


def _model(field: FieldInfo) -> type[BaseModel] | None:
    inner = _inner(field)
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def _is_mapping(field: FieldInfo) -> bool:
    inner = _inner(field)
    return _model(field) is not None or inner is dict or get_origin(inner) in (dict, Mapping)


def _is_plain(field: FieldInfo) -> bool:
    return _inner(field) in (str, int, float, bool) or _choices(field) is not None
