"""Arguments of a call: accepted as models send them, refused in words that let the model correct them."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dlcoder.errors import UserError
from dlcoder.serving.nearest import nearest
from dlcoder.serving.schemas import Schema, input_schema, subschema
from dlcoder.text import clean

Model = TypeVar("Model", bound=BaseModel)
_SHOWN = 5


def parse_arguments(model: type[Model], arguments: Mapping[str, Any], tool: str) -> Model:
    """Validate the arguments of a call.

    Objects and lists that a client sent as JSON text are read as what they are.

    Raises:
        UserError: They do not fit; the text names each field, what it must be and the nearest valid name, and
            repeats none of the values.
    """
    decoded = _decoded(model, arguments)
    try:
        return model.model_validate(decoded)
    except ValidationError as error:
        schema = input_schema(model)
        found = error.errors(include_url=False)
        problems = list(dict.fromkeys(_problem(schema, decoded, dict(item)) for item in found[: 4 * _SHOWN]))
        more = ["and more"] if len(problems) > _SHOWN or len(found) > 4 * _SHOWN else []
        raise UserError("; ".join([*problems[:_SHOWN], *more]) + ".", _next_step(schema, tool)) from None


def _decoded(model: type[BaseModel], arguments: Mapping[str, Any]) -> dict[str, Any]:
    decoded = dict(arguments)
    for name, value in arguments.items():
        field = model.model_fields.get(name)
        if field is None or not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
            continue
        if field.annotation in (str, str | None):
            continue
        try:
            decoded[name] = json.loads(value)
        except (ValueError, RecursionError):
            continue
    return decoded


def _next_step(schema: Schema, tool: str) -> str:
    required = schema.get("required", [])
    names = [f"{name} (required)" if name in required else name for name in schema["properties"]]
    return f"Call {tool} again; its arguments are {', '.join(names)}." if names else f"Call {tool} without arguments."


def _problem(schema: Schema, arguments: Mapping[str, Any], error: dict[str, Any]) -> str:
    path = _path(arguments, error["loc"])
    kind, shown = error["type"], _shown(path)
    if kind == "extra_forbidden":
        return _unknown(schema, path)
    if kind == "missing":
        return f"{shown} is missing"
    if kind in ("literal_error", "enum"):
        return _not_a_choice(subschema(schema, path), arguments, path)
    text = clean(str(error["msg"]).removeprefix("Value error, "), 300).rstrip(".")
    if kind in ("value_error", "assertion_error"):
        return f"{shown}: {text}" if path else text
    text = text.partition(", unable to parse")[0].partition(", got ")[0]
    # pydantic words every bound as "Input should ...", "String should ..." and so on.
    _, should, rest = text.partition(" should ")
    return f"{shown} must {rest}" if should else f"{shown} is not valid ({text})"


def _path(arguments: Any, loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """`loc` without the names that pydantic puts in for the branches of a union."""
    path: list[str | int] = []
    value = arguments
    for position, part in enumerate(loc):
        inside = part in value if isinstance(value, Mapping) else isinstance(value, list) and part in range(len(value))
        if inside:
            value = value[part]
        elif not (isinstance(value, Mapping) and position == len(loc) - 1):
            continue
        path.append(part)
    return tuple(path)


def _shown(path: tuple[str | int, ...]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{clean(part, 60)}"
    return f"`{text.lstrip('.')}`" if text else "the arguments"


def _unknown(schema: Schema, path: tuple[str | int, ...]) -> str:
    *above, name = path
    known = list(subschema(schema, tuple(above)).get("properties", {}))
    where = f" in {_shown(tuple(above))}" if above else ""
    meant = nearest(str(name), known)
    if meant:
        return f"there is no argument {_shown((name,))}{where}; did you mean `{meant}`?"
    return f"there is no argument {_shown((name,))}{where}; valid there: {', '.join(known[:30]) or 'none'}"


def _not_a_choice(schema: Schema, arguments: Any, path: tuple[str | int, ...]) -> str:
    choices = [str(choice) for choice in schema.get("enum", [schema["const"]] if "const" in schema else [])]
    value = arguments
    for part in path:
        value = value[part]
    meant = nearest(value, choices) if isinstance(value, str) else None
    hint = f"; did you mean '{meant}'?" if meant else ""
    return f"{_shown(path)} must be one of {', '.join(choices)}{hint}"
