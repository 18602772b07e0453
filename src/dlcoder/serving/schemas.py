"""The JSON schemas that a client is shown: complete, and without what only costs tokens."""

from copy import deepcopy
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]
_REF = "#/$defs/"


def input_schema(model: type[BaseModel]) -> Schema:
    """The schema of a tool's arguments: every name known, unknown ones refused, no generated titles.

    An argument that may be left out is not also offered as null: the value null is accepted, but nobody has to know.
    """
    schema = _lean(model.model_json_schema(mode="validation"), keep_descriptions=True, drop_null=True)
    schema.setdefault("properties", {})
    schema["additionalProperties"] = False
    return schema


def output_schema(model: type[BaseModel]) -> Schema:
    """The schema that a tool's structured answer satisfies.

    Fields with a default are optional in it, because the answer leaves out what says nothing. Their meaning is plain
    from their names and from the text of the answer: descriptions would cost every session and help none.
    """
    return _lean(model.model_json_schema(mode="validation", by_alias=True), keep_descriptions=False, drop_null=False)


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


def _lean(schema: Schema, *, keep_descriptions: bool, drop_null: bool) -> Schema:
    """A copy without generated titles; properties that happen to be called `title` stay."""

    def walk(node: Schema, is_definition: bool) -> Schema:
        node.pop("title", None)
        if not keep_descriptions or is_definition:
            # The docstring of a nested model speaks to readers of the code.
            node.pop("description", None)
        if node.get("default", ...) in (None, "", [], {}) and "default" in node:
            del node["default"]
        for key in ("properties", "$defs"):
            if key in node:
                node[key] = {name: walk(child, key == "$defs") for name, child in node[key].items()}
        for key in ("items", "additionalProperties", "not"):
            if isinstance(node.get(key), dict):
                node[key] = walk(node[key], False)
        for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            if key in node:
                node[key] = [walk(child, False) for child in node[key]]
        return _without_null(node) if drop_null else node

    lean = walk(deepcopy(schema), True)
    return _without_unused_definitions(lean)


def _without_null(node: Schema) -> Schema:
    branches = node.get("anyOf", [])
    rest = [branch for branch in branches if branch != {"type": "null"}]
    if len(rest) == len(branches):
        return node
    if len(rest) == 1:
        del node["anyOf"]
        return {**rest[0], **node}
    return {**node, "anyOf": rest}


def _without_unused_definitions(schema: Schema) -> Schema:
    if "$defs" in schema and '"$ref"' not in str(schema).replace("'", '"'):
        del schema["$defs"]
    return schema
