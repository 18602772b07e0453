"""What can be said of an expression without running it, and what then becomes of the statement around it."""

import ast
import operator
from collections.abc import Callable, Sequence
from typing import Any

import libcst as cst
import libcst.matchers as m

_COMPARE: dict[type[cst.BaseCompOp], Callable[[Any, Any], bool]] = {
    cst.Equal: operator.eq,
    cst.NotEqual: operator.ne,
    cst.LessThan: operator.lt,
    cst.LessThanEqual: operator.le,
    cst.GreaterThan: operator.gt,
    cst.GreaterThanEqual: operator.ge,
    cst.In: lambda a, b: a in b,
    cst.NotIn: lambda a, b: a not in b,
}
_SWITCH = m.Name("enabled")


def code(node: cst.CSTNode) -> str:
    """The source of a node."""
    return cst.Module([]).code_for_node(node)


def truth(node: cst.BaseExpression) -> bool | None:
    """Whether an expression is true: known of literals only."""
    try:
        return bool(ast.literal_eval(code(node)))
    except (ValueError, SyntaxError):
        return None


def compare(node: cst.Comparison, is_none: Callable[[str], bool | None]) -> bool | None:
    """The result of a comparison of literals, or with None.

    Args:
        node: The comparison.
        is_none: Says of an expression's source whether it is None, if that is known.
    """
    if len(node.comparisons) != 1:
        return None
    sign, right = node.comparisons[0].operator, node.comparisons[0].comparator
    if isinstance(sign, cst.Is | cst.IsNot) and code(right) == "None":
        none = is_none(code(node.left))
        return none if none is None or isinstance(sign, cst.Is) else not none
    try:
        values = ast.literal_eval(code(node.left)), ast.literal_eval(code(right))
    except (ValueError, SyntaxError):
        return None
    known = _COMPARE.get(type(sign))
    try:
        return None if known is None else known(*values)
    except TypeError:
        return None


def flatten(body: cst.BaseSuite, leading_lines: Sequence[cst.EmptyLine]) -> cst.FlattenSentinel[cst.BaseStatement]:
    """The statements of a branch that is always taken, below the comment of its condition."""
    statements = [statement for statement in body.body if isinstance(statement, cst.BaseStatement)]
    if not statements:
        return cst.FlattenSentinel([])
    first, *rest = statements
    first = first.with_changes(leading_lines=[*leading_lines, *getattr(first, "leading_lines", [])])
    return cst.FlattenSentinel([first, *rest])


def cut_unreachable(block: cst.IndentedBlock) -> cst.IndentedBlock:
    """The block up to the first statement that always leaves it."""
    leaves = m.SimpleStatementLine(body=[m.Return() | m.Raise() | m.Continue() | m.Break()])
    for index, statement in enumerate(block.body):
        if m.matches(statement, leaves):
            return block.with_changes(body=block.body[: index + 1])
    return block


def splice(elements: Sequence[cst.BaseDictElement]) -> list[cst.BaseDictElement]:
    """The elements of a dict, with those of `**{...}` in its place."""
    flat: list[cst.BaseDictElement] = []
    for element in elements:
        if isinstance(element, cst.StarredDictElement) and isinstance(element.value, cst.Dict):
            flat += [inner.with_changes(comma=cst.MaybeSentinel.DEFAULT) for inner in element.value.elements]
        else:
            flat.append(element)
    return flat


def is_switched_off(context: cst.BaseExpression) -> bool:
    """Whether a context manager is called with `enabled=False`."""
    off = m.Arg(m.Name("False"), _SWITCH)
    return m.matches(context, m.Call(args=[m.ZeroOrMore(), off, m.ZeroOrMore()]))


def without_switch(item: cst.WithItem) -> cst.WithItem:
    """A context without an `enabled=True` that goes without saying."""
    call = item.item
    if not isinstance(call, cst.Call):
        return item
    args = [arg for arg in call.args if not m.matches(arg, m.Arg(m.Name("True"), _SWITCH))]
    return item if len(args) == len(call.args) else item.with_changes(item=call.with_changes(args=shortened(args)))


def shortened(items: Sequence[Any]) -> list[Any]:
    """Items without the last comma, which would keep a shortened list one item a line."""
    return [*items[:-1], items[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)] if items else []
