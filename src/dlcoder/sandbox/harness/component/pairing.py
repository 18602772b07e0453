"""What a loss compares with what: the fields it reads of its inputs, and the pairs that it hands to known losses."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from torch import Tensor

_KINDS = {
    "cross_entropy": "indexed",
    "CrossEntropyLoss": "indexed",
    "nll_loss": "indexed",
    "NLLLoss": "indexed",
    "binary_cross_entropy_with_logits": "binary",
    "BCEWithLogitsLoss": "binary",
    "mse_loss": "regression",
    "MSELoss": "regression",
    "l1_loss": "regression",
    "L1Loss": "regression",
    "smooth_l1_loss": "regression",
    "SmoothL1Loss": "regression",
    "huber_loss": "regression",
    "HuberLoss": "regression",
}


@dataclass(frozen=True)
class Pair:
    """A prediction and its truth, each a parameter ("pred") or a field of one ("outputs.box"), and their kind."""

    kind: str
    pred: str
    target: str


@dataclass(frozen=True)
class Fields:
    """The fields that the code reads of one parameter, in order, and whether as keys or as attributes."""

    names: tuple[str, ...]
    keys: bool


def fields(node: ast.AST, parameters: list[str]) -> dict[str, Fields]:
    """The parameters that are dictionaries or records, by what the code reads of them."""
    found: dict[str, dict[str, bool]] = {}
    for part in ast.walk(node):
        read = _field(part, parameters)
        if read is not None:
            found.setdefault(read[0], {}).setdefault(read[1], not isinstance(part, ast.Attribute))
    return {name: Fields(tuple(read), any(read.values())) for name, read in found.items()}


def keys_read(node: ast.AST) -> list[str]:
    """The string keys that the code reads of whatever it is given, in order; keys that it writes are not among them."""
    found: dict[str, None] = {}
    for part in _in_order(node):
        key: Any = None
        if isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Load) and isinstance(part.slice, ast.Constant):
            key = part.slice.value
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in ("get", "pop"):
            key = part.args[0].value if part.args and isinstance(part.args[0], ast.Constant) else None
        if isinstance(key, str):
            found.setdefault(key)
    return list(found)


def assembled(inputs: dict[str, Any], found: dict[str, Fields]) -> dict[str, Any]:
    """The arguments of the call: fields of one parameter ("outputs.box") put back into the dictionary or record."""
    arguments: dict[str, Any] = {}
    for name, value in inputs.items():
        owner, _, field = name.partition(".")
        if field:
            arguments.setdefault(owner, {})[field] = value
        else:
            arguments[name] = value
    return {
        name: SimpleNamespace(**value) if name in found and not found[name].keys else value
        for name, value in arguments.items()
    }


def pairs(node: ast.AST, parameters: list[str]) -> list[Pair]:
    """What the code compares with what, in the order of the text.

    Args:
        node: The class or function.
        parameters: What its call takes.
    """
    known = dict.fromkeys(parameters)
    aliases: dict[str, str] = {}
    criteria = _criteria(node)
    found: dict[Pair, None] = {}
    for part in _in_order(node):
        for name, value in _assigned(part):
            atom = _atom(value, known, aliases)
            if atom:
                aliases[name] = atom
        pair = _pair(part, known, aliases, criteria)
        if pair is not None and pair.pred != pair.target:
            found.setdefault(pair)
    return list(found)


def _assigned(part: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names and what they are given, in `a = x` and in `a, b = x, y`."""
    if not isinstance(part, ast.Assign) or len(part.targets) != 1:
        return
    target, value = part.targets[0], part.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        pairs = list(zip(target.elts, value.elts))
    else:
        pairs = [(target, value)]
    yield from ((left.id, right) for left, right in pairs if isinstance(left, ast.Name))


def _pair(part: ast.AST, known: dict[str, None], aliases: dict[str, str], criteria: dict[str, str]) -> Pair | None:
    if isinstance(part, ast.Call) and len(part.args) >= 2:
        name = part.func.attr if isinstance(part.func, ast.Attribute) else getattr(part.func, "id", "")
        kind = _KINDS.get(name) or criteria.get(name)
        sides = [_atom(argument, known, aliases) for argument in part.args[:2]]
        return Pair(kind, sides[0], sides[1]) if kind and all(sides) else None
    if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Sub):
        left, right = (_atom(side, known, aliases) for side in (part.left, part.right))
        return Pair("regression", left, right) if left and right else None
    return None


def _criteria(node: ast.AST) -> dict[str, str]:
    """Attributes that hold a known loss, as in `self.ce = nn.CrossEntropyLoss()`."""
    found = {}
    for part in ast.walk(node):
        if isinstance(part, ast.Assign) and isinstance(part.value, ast.Call):
            kind = _KINDS.get(getattr(part.value.func, "attr", ""))
            for target in part.targets:
                if kind and isinstance(target, ast.Attribute):
                    found[target.attr] = kind
    return found


_SHAPING = ("float", "double", "long", "reshape", "view", "flatten", "squeeze", "contiguous", "to", "type_as", "detach")


def _atom(node: ast.AST, known: dict[str, None], aliases: dict[str, str]) -> str:
    """The parameter or field that an expression only reshapes or casts; empty if it is more than that."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _SHAPING:
        return _atom(node.func.value, known, aliases)
    if isinstance(node, ast.Name):
        return aliases.get(node.id, node.id if node.id in known else "")
    read = _field(node, list(known))
    return f"{read[0]}.{read[1]}" if read else ""


def _field(node: ast.AST, parameters: list[str]) -> tuple[str, str] | None:
    """Parameter and field of `outputs["box"]` or `outputs.box`, unless a tensor has an attribute of that name."""
    owner = getattr(node, "value", None)
    if not isinstance(owner, ast.Name) or owner.id not in parameters:
        return None
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        return owner.id, node.slice.value
    if isinstance(node, ast.Attribute) and not hasattr(Tensor, node.attr):
        return owner.id, node.attr
    return None


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        yield from _in_order(child)
