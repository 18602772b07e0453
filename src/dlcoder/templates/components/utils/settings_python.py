"""Settings in Python files: dataclasses, built in a variable named `settings`.

An editor completes their names, and a type checker reads them like any other code.
"""

import ast
import dataclasses
import difflib
import re
import runpy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from dlcoder.templates.components.utils.overrides import override
from dlcoder.templates.components.utils.settings import (
    SettingsError,
    from_mapping,
    to_mapping,
)

T = TypeVar("T")

UNEXPECTED = re.compile(
    r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'"
)


def load_settings(cls: type[T], path: Path, overrides: Sequence[str] = ()) -> T:
    """Run a Python file, and return the `settings` of type `cls` that it defines.

    Args:
        cls: A dataclass, whose fields may be dataclasses.
        path: The file.
        overrides: Settings such as `train.epochs=3`, in Python, which win over the
            file; the quotes of a string may be left out.

    Raises:
        SettingsError: A setting is unknown or of the wrong type, or there are none.
    """
    try:
        settings = runpy.run_path(str(path)).get("settings")
    except TypeError as error:
        raise SettingsError(f"{path}: {_explain(error, cls)}") from error
    if not isinstance(settings, cls):
        raise SettingsError(f"{path} must define `settings`, of type {cls.__name__}.")
    # By way of plain values: what Python itself does not check is checked now.
    tree = to_mapping(settings)
    override(tree, overrides, _value)
    return from_mapping(cls, tree)


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _explain(error: TypeError, cls: type[Any]) -> str:
    """What is wrong, and the nearest field to one that does not exist."""
    found = UNEXPECTED.search(str(error))
    if found is None:
        return str(error)
    fields = {part.__name__: names for part, names in _parts(cls)}.get(found[1], [])
    near = difflib.get_close_matches(found[2], fields, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"known: {fields}"
    return f"{found[1]} has no setting {found[2]}; {hint}"


def _parts(cls: type[Any]) -> Iterator[tuple[type[Any], list[str]]]:
    """Yield `cls` and the dataclasses in it, each with the names of its fields."""
    yield cls, [field.name for field in dataclasses.fields(cls)]
    for kind in get_type_hints(cls).values():
        if dataclasses.is_dataclass(kind):
            yield from _parts(kind)  # type: ignore[arg-type]
