"""Whether a value fits a parameter of a component, by its annotation in the source, which is not imported."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlcoder.errors import UserError
from dlcoder.templates.syntax import parsed

_PLAIN = {"bool": (bool,), "int": (int,), "float": (int, float), "str": (str,)}
_LISTS = ("Sequence", "list", "tuple", "Iterable")


def refuse_unfit(component: str, symbol: str, sources: Sequence[str], params: Mapping[str, Any]) -> None:
    """Refuse values that a component's parameters cannot take.

    Args:
        component: Its id, for the message.
        symbol: The class or function with the parameters.
        sources: The component's source, and those of what it imports, for names of types.
        params: Values by name.

    Raises:
        UserError: A value does not fit; the message says what does.
    """
    trees = [parsed(source) for source in sources]
    names = {name: value for tree in trees for name, value in _named_types(tree)}
    kinds = dict(_annotations(trees[-1], symbol))
    for name, value in params.items():
        kind = kinds.get(name)
        if kind is None or _fits(kind, value, names):
            continue
        expected = ast.unparse(names.get(kind.id, kind) if isinstance(kind, ast.Name) else kind)
        if not any(each in expected for each in (*_PLAIN, "Literal")):
            raise UserError(
                f"{name} of {component} is a {expected}, which cannot be bound.", f"Pass it where {symbol} is built."
            )
        raise UserError(f"{name} of {component} must be {expected}, not {value!r}.", "Give another value.")


def _named_types(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The module's own names for types: Depth = Literal[18, 34]."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def _annotations(tree: ast.Module, symbol: str) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if getattr(node, "name", None) != symbol:
            continue
        body = node.body if isinstance(node, ast.ClassDef) else [node]
        for each in body:
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
                yield each.target.id, each.annotation
            elif isinstance(each, ast.FunctionDef) and each.name in ("__init__", symbol):
                arguments = [*each.args.args, *each.args.kwonlyargs]
                yield from ((argument.arg, argument.annotation) for argument in arguments if argument.annotation)


def _fits(kind: ast.expr, value: Any, names: Mapping[str, ast.expr]) -> bool:
    match kind:
        case ast.BinOp(left=left, right=right):
            return _fits(left, value, names) or _fits(right, value, names)
        case ast.Constant(value=None):
            return value is None
        case ast.Name(id=name) if name in names:
            return _fits(names[name], value, {})
        case ast.Name(id=name):
            # True is an int to Python, and a slip here.
            return isinstance(value, _PLAIN.get(name, ())) and (name == "bool" or not isinstance(value, bool))
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
            allowed = ast.literal_eval(inner)
            return value in (allowed if isinstance(allowed, tuple) else (allowed,))
        case ast.Subscript(value=ast.Name(id=name), slice=inner) if name in _LISTS and isinstance(value, list | tuple):
            return _items_fit(inner, value, names)
    return False


def _items_fit(inner: ast.expr, value: Sequence[Any], names: Mapping[str, ast.expr]) -> bool:
    """Whether a list's items do: of tuple[int, int] as many, of tuple[int, ...] and Sequence[int] any number."""
    kinds = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if not isinstance(inner, ast.Tuple) or ast.unparse(kinds[-1]) == "...":
        return all(_fits(kinds[0], item, names) for item in value)
    return len(kinds) == len(value) and all(_fits(k, item, names) for k, item in zip(kinds, value, strict=True))
