# ruff: noqa: N802 - libcst names its hooks after its nodes.
"""Binding the options of a component: partial evaluation on its syntax tree.

The component is a real file that works as it stands. A fixed parameter is replaced by its value, conditions on it are
decided, and the branches not taken disappear, together with the parameter's docstring entry and the argument in every
call. What is left is code that somebody could have written for this project alone.
"""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import TypeAlias

import libcst as cst
import libcst.matchers as m

from dlcoder.templates.bindings import Binding, Bindings, Fixed, Present, fixed
from dlcoder.templates.conditions import (
    code,
    compare,
    cut_unreachable,
    flatten,
    is_switched_off,
    shortened,
    splice,
    truth,
    without_switch,
)
from dlcoder.templates.definitions import bind_fields, bind_params, definitions, strip_docstring, without_unused_helpers
from dlcoder.templates.specialize import NEEDS


def bind(source: str, bindings: Bindings) -> str:
    """The source with its options bound.

    Raises:
        ValueError: A bound symbol has no such parameter.
    """
    # Options are known by the name of what has them; a tree of all the rest would take most of the time.
    named = re.compile(rf"\b(?:{'|'.join(bindings)})\b" if bindings else NEEDS)
    # The comment above a test belongs to its definition, which must not come first.
    cut = [source] if NEEDS in source else definitions(source)
    parts = [cst.parse_module(p).visit(_Specializer(bindings)).code if named.search(p) else p for p in cut]
    return without_unused_helpers("".join(parts))


_Left: TypeAlias = cst.CSTNodeT | cst.RemovalSentinel | cst.FlattenSentinel[cst.CSTNodeT]
_PLAIN = (
    cst.BaseParenthesizableWhitespace,
    cst.BaseUnaryOp,
    cst.BaseBinaryOp,
    cst.BaseBooleanOp,
    cst.BaseCompOp,
    cst.AssignEqual,
    cst.Colon,
    cst.Comma,
    cst.Comment,
    cst.Dot,
    cst.EmptyLine,
    cst.LeftParen,
    cst.Newline,
    cst.RightParen,
    cst.SimpleString,
    cst.TrailingWhitespace,
)
"""What no hook looks for, in or below: half of all nodes. To visit a node is to build another."""


@cache
def _is_plain(kind: type[cst.CSTNode]) -> bool:
    return issubclass(kind, _PLAIN)


@lru_cache(maxsize=256)
def _expression(source: str) -> cst.BaseExpression:
    return cst.parse_expression(source)


class _Specializer(cst.CSTTransformer):
    """One pass over a file: definitions are stripped, uses replaced, conditions decided.

    A bound option is `self.<option>` inside its class, and `<option>` inside its function or `__init__`.
    """

    def __init__(self, bindings: Bindings) -> None:
        super().__init__()
        self.bindings = bindings
        self.classes: list[Mapping[str, Binding]] = [{}]
        self.functions: list[Mapping[str, Binding]] = [{}]
        self.elifs: set[cst.If] = set()

    # For each node and each part of it, libcst would look for hooks by name.

    def on_visit(self, node: cst.CSTNode) -> bool:
        return not _is_plain(type(node)) and super().on_visit(node)

    def on_leave(
        self, original_node: cst.CSTNodeT, updated_node: cst.CSTNodeT
    ) -> "cst.CSTNodeT | cst.RemovalSentinel | cst.FlattenSentinel[cst.CSTNodeT]":
        return updated_node if _is_plain(type(original_node)) else super().on_leave(original_node, updated_node)

    def on_visit_attribute(self, node: cst.CSTNode, attribute: str) -> None:
        pass

    def on_leave_attribute(self, original_node: cst.CSTNode, attribute: str) -> None:
        pass

    # Definitions.

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        self.classes.append(self.bindings.get(node.name.value, {}))

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.ClassDef:
        bound = self.classes.pop()
        if not bound:
            return updated_node
        body = bind_fields(cst.ensure_type(updated_node.body, cst.IndentedBlock), bound)
        return strip_docstring(updated_node.with_changes(body=body), fixed(bound))

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        own: Mapping[str, Binding] = {}
        if node.name.value == "__init__":
            own = self.classes[-1]
        elif len(self.classes) == len(self.functions) == 1:
            own = self.bindings.get(node.name.value, {})
        self.functions.append(own)

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef | cst.RemovalSentinel:
        bound, name = self.functions.pop(), original_node.name.value
        if name.startswith("test_"):
            if self._tests_what_is_not_there(original_node):
                return cst.RemoveFromParent()
            lines = [line for line in updated_node.leading_lines if not _needs(line)]
            return updated_node.with_changes(leading_lines=lines)
        if not bound:
            return updated_node
        params = original_node.params
        missing = set(bound) - {p.name.value for p in (*params.params, *params.kwonly_params)}
        if missing:
            raise ValueError(f"{name} has no parameter {', '.join(sorted(missing))}")
        updated_node = updated_node.with_changes(params=bind_params(updated_node.params, bound))
        return strip_docstring(updated_node, fixed(bound))

    # Uses.

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        binding = self.functions[-1].get(original_node.value)
        return _expression(binding.code) if isinstance(binding, Fixed) else updated_node

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        if m.matches(original_node.value, m.Name("self")):
            binding = self.classes[-1].get(original_node.attr.value)
            if isinstance(binding, Fixed):
                return _expression(binding.code)
        return updated_node.with_changes(attr=original_node.attr)

    # A name may also be that of a parameter or of an argument, which is no use of a value.

    def leave_Param(self, original_node: cst.Param, updated_node: cst.Param) -> cst.Param:
        return updated_node.with_changes(name=original_node.name)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        return updated_node.with_changes(keyword=original_node.keyword)

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.RemovalSentinel:
        """Keep no `self.option = option` of a fixed option."""
        kept = m.Assign(targets=[m.AssignTarget(m.Attribute(m.Name("self"), m.Name()))])
        statement = original_node.body[0]
        if self.classes[-1] and m.matches(statement, kept):
            target = cst.ensure_type(cst.ensure_type(statement, cst.Assign).targets[0].target, cst.Attribute)
            if isinstance(self.classes[-1].get(target.attr.value), Fixed):
                return cst.RemoveFromParent()
        return updated_node

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        name = original_node.func.value if isinstance(original_node.func, cst.Name) else ""
        gone = fixed(self.bindings.get(name, {}))
        args = [
            arg
            for arg in updated_node.args
            if (arg.keyword is None or arg.keyword.value not in gone)
            and not (arg.star == "**" and code(arg.value) == "{}")
        ]
        if len(args) == len(updated_node.args):
            return updated_node
        return updated_node.with_changes(args=shortened(args))

    def _tests_what_is_not_there(self, test: cst.FunctionDef) -> bool:
        """Whether a test needs an option that is off, or gives one another value than it has."""
        for symbol, param in filter(None, map(_needs, test.leading_lines)):
            binding = self.bindings.get(symbol, {}).get(param)
            if isinstance(binding, Fixed) and binding.code in ("None", "False"):
                return True
        for found in m.findall(test, m.Call(func=m.Name())):
            call = cst.ensure_type(found, cst.Call)
            given = {arg.keyword.value: code(arg.value) for arg in call.args if arg.keyword is not None}
            for param, binding in self.bindings.get(cst.ensure_type(call.func, cst.Name).value, {}).items():
                if isinstance(binding, Fixed) and given.get(param, binding.code) != binding.code:
                    return True
                if isinstance(binding, Present) and given.get(param, "None") == "None":
                    return True
        return False

    # Conditions.

    def leave_Comparison(self, original_node: cst.Comparison, updated_node: cst.Comparison) -> cst.BaseExpression:
        known = compare(updated_node, self._is_none)
        return updated_node if known is None else cst.Name(str(known))

    def _is_none(self, source: str) -> bool | None:
        if source == "None":
            return True
        scope = {f"self.{name}": binding for name, binding in self.classes[-1].items()}
        scope.update(self.functions[-1])
        if isinstance(scope.get(source), Present):
            return False
        # What a fixed option was replaced by.
        return False if Fixed(source) in scope.values() else None

    def leave_UnaryOperation(
        self, original_node: cst.UnaryOperation, updated_node: cst.UnaryOperation
    ) -> cst.BaseExpression:
        known = truth(updated_node.expression)
        if not isinstance(updated_node.operator, cst.Not) or known is None:
            return updated_node
        return cst.Name(str(not known))

    def leave_BooleanOperation(
        self, original_node: cst.BooleanOperation, updated_node: cst.BooleanOperation
    ) -> cst.BaseExpression:
        known = truth(updated_node.left)
        if known is None:
            return updated_node
        goes_on = known == isinstance(updated_node.operator, cst.And)
        return updated_node.right if goes_on else updated_node.left

    def leave_IfExp(self, original_node: cst.IfExp, updated_node: cst.IfExp) -> cst.BaseExpression:
        known = truth(updated_node.test)
        if known is None:
            return updated_node
        return updated_node.body if known else updated_node.orelse

    def leave_Dict(self, original_node: cst.Dict, updated_node: cst.Dict) -> cst.Dict:
        return updated_node.with_changes(elements=splice(updated_node.elements))

    def visit_If(self, node: cst.If) -> None:
        if isinstance(node.orelse, cst.If):
            self.elifs.add(node.orelse)

    def leave_If(
        self, original_node: cst.If, updated_node: cst.If
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement] | cst.RemovalSentinel:
        known = truth(updated_node.test)
        if known is None:
            return updated_node
        if original_node in self.elifs:
            # What libcst's signature does not foresee: an elif becomes an else, or nothing.
            if known:
                return cst.Else(body=updated_node.body)  # type: ignore[return-value]
            return updated_node.orelse or cst.RemoveFromParent()  # type: ignore[return-value]
        if known:
            return flatten(updated_node.body, updated_node.leading_lines)
        if isinstance(updated_node.orelse, cst.If):
            return updated_node.orelse.with_changes(leading_lines=updated_node.leading_lines)
        if isinstance(updated_node.orelse, cst.Else):
            return flatten(updated_node.orelse.body, updated_node.leading_lines)
        return cst.RemoveFromParent()

    def leave_With(
        self, original_node: cst.With, updated_node: cst.With
    ) -> cst.With | cst.FlattenSentinel[cst.BaseStatement]:
        """Enter no context that is known to be switched off."""
        items = [without_switch(item) for item in updated_node.items if not is_switched_off(item.item)]
        if not items:
            return flatten(updated_node.body, updated_node.leading_lines)
        return updated_node.with_changes(items=items)

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        return cut_unreachable(updated_node)


def _needs(line: cst.EmptyLine) -> tuple[str, str] | None:
    """The option that a test's comment says it needs: (symbol, parameter)."""
    text = line.comment.value if line.comment else ""
    if not text.startswith(NEEDS):
        return None
    symbol, _, param = text.removeprefix(NEEDS).strip().partition(".")
    return symbol, param
