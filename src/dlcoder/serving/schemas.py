"""The JSON schemas that a client is shown: complete, and without what only costs tokens."""

import json
import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]
_REF = "#/$defs/"
_OUTLINE_DEPTH = 2


def input_schema(model: type[BaseModel]) -> Schema:
    """The schema of a tool's arguments: every name known, unknown ones refused, no generated titles.

    An argument that may be left out is not also offered as null: the value null is accepted, but nobody has to know.
    """
    schema = _inlined(_lean(model.model_json_schema(mode="validation"), keep_descriptions=True))
    schema.setdefault("properties", {})
    schema["additionalProperties"] = False
    return schema


def output_schema(model: type[BaseModel]) -> Schema:
    """The schema that a tool's structured answer satisfies.

    Every session pays for it, so it says what a program needs to find its way: the fields, and the fields of the
    objects in them. What is left out: descriptions, which the text of the answer makes plain; the insides of objects
    further down; those of a report inside another answer, which are the fields of `validate_code`; which nested
    fields are always there. Fields with a default are optional, because the answer leaves
    out what says nothing; nulls never appear.
    """
    lean = _lean(model.model_json_schema(mode="validation", by_alias=True), keep_descriptions=False)
    if "Report" in lean.get("$defs", {}):
        lean["$defs"]["Report"] = {"type": "object"}
    schema: Schema = _outlined(_inlined(lean), lean.get("$defs", {}), _OUTLINE_DEPTH)
    return schema


def compact(answer: BaseModel) -> dict[str, Any]:
    """The answer as data: all its own fields but nulls, and below them only what differs from the default.

    What JSON cannot carry is taken out on the way: numbers that are not finite count as null, and halves of surrogate
    pairs, which come from file names and logs in no encoding, become question marks.
    """
    full = answer.model_dump(mode="json", by_alias=True, exclude_none=True)
    telling = answer.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    data: dict[str, Any] = _portable({name: telling.get(name, value) for name, value in full.items()})
    return data


def portable_text(text: str) -> str:
    """The text without halves of surrogate pairs, which no UTF-8 can carry."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _portable(value: Any) -> Any:
    if isinstance(value, str):
        return portable_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_portable(item) for item in value]
    if isinstance(value, dict):
        items = ((portable_text(name), _portable(item)) for name, item in value.items())
        return {name: item for name, item in items if item is not None}
    return value


def subschema(schema: Schema, path: tuple[str | int, ...]) -> Schema:
    """The part of a schema that governs the value at `path`, branches of a union merged; {} if there is none."""
    found = _merged(schema, schema)
    for part in path:
        below = found.get("items") if isinstance(part, int) else found.get("properties", {}).get(part)
        if below is None:
            below = found.get("additionalProperties")
        if not isinstance(below, dict):
            return {}
        found = _merged(schema, below)
    return found


def _merged(root: Schema, schema: Schema) -> Schema:
    if isinstance(ref := schema.get("$ref"), str):
        schema = {**root["$defs"][ref.removeprefix(_REF)], **{k: v for k, v in schema.items() if k != "$ref"}}
    merged = dict(schema)
    for branch in [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]:
        inner = _merged(root, branch)
        properties = {**merged.get("properties", {}), **inner.get("properties", {})}
        merged = {**inner, **merged}
        if properties:
            merged["properties"] = properties
    return merged


def _lean(schema: Schema, *, keep_descriptions: bool) -> Schema:
    """A copy without generated titles; properties that happen to be called `title` stay."""

    def walk(node: Schema, is_model: bool = False) -> Schema:
        node.pop("title", None)
        if not keep_descriptions or is_model:
            # The docstring of a model speaks to readers of the code.
            node.pop("description", None)
        if "default" in node and node["default"] in (None, "", [], {}):
            del node["default"]
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict):
                node[key] = walk(node[key])
        for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            if key in node:
                node[key] = [walk(child) for child in node[key]]
        if "$defs" in node:
            node["$defs"] = {name: walk(child, is_model=True) for name, child in node["$defs"].items()}
        for name, child in node.get("properties", {}).items():
            node["properties"][name] = _without_null(walk(child), node, name)
        return node

    return walk(deepcopy(schema), is_model=True)


def _without_null(field: Schema, owner: Schema, name: str) -> Schema:
    """A field that may be null is one that may be left out."""
    branches = field.get("anyOf", [])
    rest = [branch for branch in branches if branch != {"type": "null"}]
    if len(rest) == len(branches):
        return field
    owner["required"] = [other for other in owner.get("required", []) if other != name]
    if not owner["required"]:
        del owner["required"]
    if len(rest) > 1:
        return {**field, "anyOf": rest}
    del field["anyOf"]
    return {**rest[0], **field}


def _inlined(schema: Schema) -> Schema:
    """A schema whose definitions stand where they are used, but for those used twice or within themselves.

    It is shorter, and some clients do not follow references.
    """
    definitions = schema.get("$defs", {})
    text = json.dumps(schema)
    single = {name for name in definitions if text.count(json.dumps(_REF + name)) == 1}

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        name = str(node.get("$ref", "")).removeprefix(_REF)
        if name in single:
            node = {**definitions[name], **{key: value for key, value in node.items() if key != "$ref"}}
        return {key: walk(value) for key, value in node.items() if key != "$defs"}

    rest = {name: walk(definition) for name, definition in definitions.items() if name not in single}
    inlined: Schema = walk(schema)
    return {**inlined, "$defs": rest} if rest else inlined


def _outlined(node: Any, definitions: Mapping[str, Schema], depth: int) -> Any:
    """A schema without defaults, and without the insides of objects more than `depth` levels down."""
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        node = definitions[node["$ref"].removeprefix(_REF)]
    if "properties" in node and depth == 0:
        return {"type": "object"}
    outline = {key: value for key, value in node.items() if key not in ("default", "$defs", "additionalProperties")}
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            outline[key] = _outlined(node[key], definitions, depth)
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if key in node:
            outline[key] = [_outlined(child, definitions, depth) for child in node[key]]
    if "properties" in node:
        below = {name: _outlined(child, definitions, depth - 1) for name, child in node["properties"].items()}
        outline["properties"] = below
        if depth < _OUTLINE_DEPTH:
            outline.pop("required", None)
    return outline
