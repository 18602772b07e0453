"""Settings as flags of the command line, such as --train.lr, over those of a file."""

import argparse
import ast
import dataclasses
import difflib
import inspect
import json
import re
import textwrap
import types
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import (
    Any,
    Literal,
    NoReturn,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from dlcoder.templates.components.utils.settings import from_mapping, insert

T = TypeVar("T")


class FlagParser(argparse.ArgumentParser):
    """A parser with a flag for each setting of a dataclass.

    `--help` shows what the docstring below a field says, and the default.

    Args:
        cls: The dataclass, whose fields may be dataclasses.
        description: What `--help` begins with.
    """

    def __init__(self, cls: type[Any], *, description: str) -> None:
        super().__init__(description=description, allow_abbrev=False)
        self.names = []
        for name, kind, meaning in _leaves(cls):
            self.names.append(name)
            self.add_argument(
                f"--{name}",
                dest=name,
                # What was not given must not win over the file.
                default=argparse.SUPPRESS,
                help=meaning.replace("%", "%%"),
                **_reading(kind),
            )

    def error(self, message: str) -> NoReturn:
        """Exit with a message, which names the nearest flag to an unknown one."""
        unknown = re.match(r"unrecognized arguments: --(?:no-)?([^\s=]+)", message)
        if unknown:
            near = difflib.get_close_matches(unknown[1], self.names, n=1, cutoff=0.5)
            message += f"; did you mean --{near[0]}?" if near else ""
        super().error(message)


def load_settings(
    cls: type[T], path: Path, flags: argparse.Namespace | None = None
) -> T:
    """Read settings of type `cls`, a dataclass, from a JSON file.

    Args:
        cls: What the file holds. Settings that it lacks keep their defaults.
        path: The file.
        flags: What a `FlagParser` read: flags that were given win over the file.

    Raises:
        SettingsError: A setting is unknown, missing or of the wrong type.
    """
    tree = json.loads(path.read_text(encoding="utf-8"))
    given = vars(flags) if flags is not None else {}
    for name, _, _ in _leaves(cls):
        if name in given:
            insert(tree, name, given[name])
    return from_mapping(cls, tree)


def _leaves(cls: type[Any], outer: str = "") -> Iterator[tuple[str, Any, str]]:
    """Yield the full name of each setting, its type, and what it means."""
    kinds, meanings = get_type_hints(cls), _meanings(cls)
    for each in dataclasses.fields(cls):
        name, kind = outer + each.name, kinds[each.name]
        if dataclasses.is_dataclass(kind):
            yield from _leaves(kind, f"{name}.")  # type: ignore[arg-type]
        else:
            known = each.default is not dataclasses.MISSING
            default = f"Default: {each.default}." if known else ""
            yield name, kind, f"{meanings.get(each.name, '')} {default}".strip()


def _meanings(cls: type[Any]) -> dict[str, str]:
    """The docstrings below a class's fields, which Python itself does not keep."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    body = definition.body  # type: ignore[attr-defined]
    return {
        ast.unparse(field.target): inspect.cleandoc(ast.literal_eval(text.value))
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


def _reading(kind: Any) -> dict[str, Any]:
    """How argparse reads a value of a type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    if origin is Literal:
        return {"choices": arguments, "type": type(arguments[0])}
    if origin is tuple:
        return {**_reading(arguments[0]), "nargs": "*"}
    if origin in (Union, types.UnionType):
        (kind,) = (argument for argument in arguments if argument is not type(None))
        return _reading(kind)
    return {"type": kind, "metavar": kind.__name__.upper()}
