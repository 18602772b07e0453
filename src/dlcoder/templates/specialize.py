# ruff: noqa: N802 - libcst names its hooks after its nodes.
"""A component, made for one project: its options bound, and what they decide decided.

The component is a real file that works as it stands. Binding an option is partial evaluation on its syntax tree: a
fixed parameter is replaced by its value, conditions on it are decided, and the branches not taken disappear, together
with the parameter's docstring entry and the argument in every call. What is left is code that somebody could have
written for this project alone.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import libcst as cst
import libcst.matchers as m

_NEEDS = "# needs: "
COMPONENTS = "dlcoder.templates.components"


Definition = TypeVar("Definition", cst.FunctionDef, cst.ClassDef)


@dataclass(frozen=True)
class Default:
    """The parameter stays and gets another default, as Python source."""

    code: str


@dataclass(frozen=True)
class Fixed:
    """The parameter is this expression, as Python source, and disappears."""

    code: str


@dataclass(frozen=True)
class Present:
    """The parameter is never None."""


Binding = Default | Fixed | Present
Bindings = Mapping[str, Mapping[str, Binding]]
"""What is known, by the name of a class or function and of its parameter."""


def specialize(source: str, *, package: str, bindings: Bindings) -> str:
    """Return a component's or a test's source for a project.

    Args:
        source: The file as it is in the catalogue.
        package: The package that components become part of.
        bindings: What is known about options, here and in what is called.

    Returns:
        Source that imports from `package`; unused imports and formatting are left to ruff.

    Raises:
        ValueError: A bound symbol has no such parameter.
    """
    # The dotted name occurs in imports only, and means nothing else.
    source = source.replace(f"{COMPONENTS}.", f"{package}.")
    relevant = {name: params for name, params in bindings.items() if re.search(rf"\b{name}\b", source)}
    if not relevant and _NEEDS not in source:
        return source
    tree = cst.parse_module(source).visit(_Specializer(relevant))
    return _without_unused_helpers(tree.code)


class _Specializer(cst.CSTTransformer):
    """One pass over a file: definitions are stripped, uses replaced, conditions decided."""

    def __init__(self, bindings: Bindings) -> None:
        super().__init__()
        self.bindings = bindings
        self.class_: list[Mapping[str, Binding]] = []
        self.function: list[Mapping[str, Binding]] = []
        self.elifs: set[cst.If] = set()

    # Scopes: inside a bound class, self.<option>; inside its __init__ or a bound function, <option>.

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        self.class_.append(self.bindings.get(node.name.value, {}))

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self.function.append(self._own(node.name.value))

    def _own(self, function: str) -> Mapping[str, Binding]:
        if function == "__init__" and self.class_:
            return self.class_[-1]
        if self.class_ or self.function:
            return {}
        return self.bindings.get(function, {})

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef | cst.RemovalSentinel:
        bound = self.function.pop()
        if original_node.name.value.startswith("test_"):
            if self._tests_what_is_not_there(original_node):
                return cst.RemoveFromParent()
            lines = [line for line in updated_node.leading_lines if not _needs(line)]
            return updated_node.with_changes(leading_lines=lines)
        if not bound:
            return updated_node
        params = original_node.params
        missing = set(bound) - {p.name.value for p in (*params.params, *params.kwonly_params)}
        if missing:
            raise ValueError(f"{original_node.name.value} has no parameter {', '.join(sorted(missing))}")
        updated_node = updated_node.with_changes(params=_bind_params(updated_node.params, bound))
        return _strip_docstring(updated_node, _fixed(bound))

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.ClassDef:
        bound = self.class_.pop()
        if not bound:
            return updated_node
        body = _bind_fields(cst.ensure_type(updated_node.body, cst.IndentedBlock), bound)
        return _strip_docstring(updated_node.with_changes(body=body), _fixed(bound))

    # Uses of a fixed option.

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        binding = self.function[-1].get(original_node.value) if self.function else None
        return cst.parse_expression(binding.code) if isinstance(binding, Fixed) else updated_node

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        if self.class_ and m.matches(original_node.value, m.Name("self")):
            binding = self.class_[-1].get(original_node.attr.value)
            if isinstance(binding, Fixed):
                return cst.parse_expression(binding.code)
        return updated_node.with_changes(attr=original_node.attr)

    def leave_Param(self, original_node: cst.Param, updated_node: cst.Param) -> cst.Param:
        return updated_node.with_changes(name=original_node.name)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        return updated_node.with_changes(keyword=original_node.keyword)

    def leave_SimpleStatementLine(
        self,
        original_node: cst.SimpleStatementLine,
        updated_node: cst.SimpleStatementLine,
    ) -> cst.SimpleStatementLine | cst.RemovalSentinel:
        # self.option = option
        kept = m.Assign(targets=[m.AssignTarget(m.Attribute(m.Name("self"), m.Name()))])
        statement = original_node.body[0]
        if self.class_ and m.matches(statement, kept):
            name = cst.ensure_type(cst.ensure_type(statement, cst.Assign).targets[0].target, cst.Attribute).attr.value
            if isinstance(self.class_[-1].get(name), Fixed):
                return cst.RemoveFromParent()
        return updated_node

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        name = original_node.func.value if isinstance(original_node.func, cst.Name) else ""
        gone = _fixed(self.bindings.get(name, {}))
        if not gone:
            return updated_node
        args = [a for a in updated_node.args if a.keyword is None or a.keyword.value not in gone]
        return (
            updated_node.with_changes(args=_last_without_comma(args))
            if len(args) < len(updated_node.args)
            else (updated_node)
        )

    def _tests_what_is_not_there(self, test: cst.FunctionDef) -> bool:
        for symbol, param in filter(None, map(_needs, test.leading_lines)):
            binding = self.bindings.get(symbol, {}).get(param)
            if isinstance(binding, Fixed) and binding.code in ("None", "False"):
                return True
        for call in m.findall(test, m.Call(func=m.Name())):
            call = cst.ensure_type(call, cst.Call)
            given = {a.keyword.value: _code(a.value) for a in call.args if a.keyword is not None}
            for param, binding in self.bindings.get(cst.ensure_type(call.func, cst.Name).value, {}).items():
                if isinstance(binding, Fixed) and given.get(param, binding.code) != binding.code:
                    return True
                if isinstance(binding, Present) and given.get(param, "None") == "None":
                    return True
        return False

    # Conditions.

    def leave_Comparison(self, original_node: cst.Comparison, updated_node: cst.Comparison) -> cst.BaseExpression:
        known = self._decide(updated_node)
        return updated_node if known is None else _bool(known)

    def _decide(self, node: cst.Comparison) -> bool | None:
        if len(node.comparisons) != 1:
            return None
        sign, right = node.comparisons[0].operator, node.comparisons[0].comparator
        if isinstance(sign, cst.Is | cst.IsNot) and _code(right) == "None":
            is_none = self._is_none(node.left)
            return is_none if is_none is None or isinstance(sign, cst.Is) else not is_none
        try:
            a, b = ast.literal_eval(_code(node.left)), ast.literal_eval(_code(right))
        except ValueError:
            return None
        compare = _COMPARE.get(type(sign))
        return None if compare is None else compare(a, b)

    def _is_none(self, node: cst.BaseExpression) -> bool | None:
        code = _code(node)
        if code == "None":
            return True
        scope = {**{f"self.{k}": v for k, v in (self.class_[-1] if self.class_ else {}).items()}}
        scope |= self.function[-1] if self.function else {}
        if isinstance(scope.get(code), Present):
            return False
        values = {v.code for v in scope.values() if isinstance(v, Fixed)}
        return False if code in values else None

    def leave_UnaryOperation(
        self, original_node: cst.UnaryOperation, updated_node: cst.UnaryOperation
    ) -> cst.BaseExpression:
        known = _truth(updated_node.expression)
        return _bool(not known) if isinstance(updated_node.operator, cst.Not) and known is not None else updated_node

    def leave_BooleanOperation(
        self, original_node: cst.BooleanOperation, updated_node: cst.BooleanOperation
    ) -> cst.BaseExpression:
        known = _truth(updated_node.left)
        if known is None:
            return updated_node
        goes_on = known == isinstance(updated_node.operator, cst.And)
        return updated_node.right if goes_on else updated_node.left

    def leave_IfExp(self, original_node: cst.IfExp, updated_node: cst.IfExp) -> cst.BaseExpression:
        known = _truth(updated_node.test)
        if known is None:
            return updated_node
        return updated_node.body if known else updated_node.orelse

    def visit_If(self, node: cst.If) -> None:
        if isinstance(node.orelse, cst.If):
            self.elifs.add(node.orelse)

    def leave_If(
        self, original_node: cst.If, updated_node: cst.If
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement] | cst.RemovalSentinel:
        known = _truth(updated_node.test)
        if known is None:
            return updated_node
        if original_node in self.elifs:
            if known:
                # What libcst's signature does not foresee: an elif becomes an else, or nothing.
                return cst.Else(body=updated_node.body)  # type: ignore[return-value]
            return updated_node.orelse or cst.RemoveFromParent()  # type: ignore[return-value]
        if known:
            return _flatten(updated_node.body, updated_node.leading_lines)
        if isinstance(updated_node.orelse, cst.If):
            return updated_node.orelse.with_changes(leading_lines=updated_node.leading_lines)
        if isinstance(updated_node.orelse, cst.Else):
            return _flatten(updated_node.orelse.body, updated_node.leading_lines)
        return cst.RemoveFromParent()

    def leave_With(
        self, original_node: cst.With, updated_node: cst.With
    ) -> cst.With | cst.FlattenSentinel[cst.BaseStatement]:
        """Enter no context that is known to be switched off, and switch none on that is on by default."""
        items = [_switched_on(item) for item in updated_node.items if not _is_switched_off(item.item)]
        if not items:
            return _flatten(updated_node.body, updated_node.leading_lines)
        return updated_node.with_changes(items=items)

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        """Cut what a decided condition made unreachable."""
        for index, statement in enumerate(updated_node.body):
            if m.matches(
                statement,
                m.SimpleStatementLine(body=[m.Return() | m.Raise() | m.Continue() | m.Break()]),
            ):
                return updated_node.with_changes(body=updated_node.body[: index + 1])
        return updated_node


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


def _is_switched_off(context: cst.BaseExpression) -> bool:
    return m.matches(
        context,
        m.Call(
            args=[
                m.ZeroOrMore(),
                m.Arg(m.Name("False"), m.Name("enabled")),
                m.ZeroOrMore(),
            ]
        ),
    )


def _switched_on(item: cst.WithItem) -> cst.WithItem:
    if not isinstance(item.item, cst.Call):
        return item
    args = [arg for arg in item.item.args if not m.matches(arg, m.Arg(m.Name("True"), m.Name("enabled")))]
    if len(args) == len(item.item.args):
        return item
    return item.with_changes(item=item.item.with_changes(args=_last_without_comma(args)))


def _needs(line: cst.EmptyLine) -> tuple[str, str] | None:
    """The option that a test's comment says it needs: (symbol, parameter)."""
    text = line.comment.value if line.comment else ""
    if not text.startswith(_NEEDS):
        return None
    symbol, _, param = text.removeprefix(_NEEDS).strip().partition(".")
    return symbol, param


def _fixed(bound: Mapping[str, Binding]) -> set[str]:
    return {name for name, binding in bound.items() if isinstance(binding, Fixed)}


def _bind_params(params: cst.Parameters, bound: Mapping[str, Binding]) -> cst.Parameters:
    def bind(group: Sequence[cst.Param]) -> list[cst.Param]:
        gone = _fixed(bound)
        return [_bind_param(p, bound.get(p.name.value)) for p in group if p.name.value not in gone]

    keyword_only = bind(params.kwonly_params)
    star = params.star_arg if keyword_only or isinstance(params.star_arg, cst.Param) else cst.MaybeSentinel.DEFAULT
    changed = params.with_changes(params=bind(params.params), kwonly_params=keyword_only, star_arg=star)
    for group in ("kwonly_params", "params"):
        if group_params := list(getattr(changed, group)):
            return changed.with_changes(**{group: _last_without_comma(group_params)})
    return changed


def _bind_param(param: cst.Param, binding: Binding | None) -> cst.Param:
    if isinstance(binding, Default):
        return param.with_changes(default=cst.parse_expression(binding.code))
    if isinstance(binding, Present):
        return param.with_changes(
            annotation=_without_none(param.annotation),
            default=None,
            equal=cst.MaybeSentinel.DEFAULT,
        )
    return param


def _bind_fields(body: cst.IndentedBlock, bound: Mapping[str, Binding]) -> cst.IndentedBlock:
    """Bind the options that are a dataclass's fields."""
    kept: list[cst.BaseStatement] = []
    for statement in body.body:
        field = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
        if not isinstance(field, cst.AnnAssign) or not isinstance(field.target, cst.Name):
            kept.append(statement)
            continue
        binding = bound.get(field.target.value)
        if isinstance(binding, Fixed):
            continue
        if isinstance(binding, Default):
            field = field.with_changes(value=cst.parse_expression(binding.code), equal=cst.AssignEqual())
        elif isinstance(binding, Present):
            field = field.with_changes(
                annotation=_without_none(field.annotation),
                value=None,
                equal=cst.MaybeSentinel.DEFAULT,
            )
        kept.append(statement.with_changes(body=[field]))
    return body.with_changes(body=kept)


def _without_none(annotation: cst.Annotation | None) -> cst.Annotation | None:
    if annotation and m.matches(
        annotation.annotation,
        m.BinaryOperation(operator=m.BitOr(), right=m.Name("None")),
    ):
        return cst.Annotation(cst.ensure_type(annotation.annotation, cst.BinaryOperation).left)
    return annotation


def _last_without_comma(items: list) -> list:  # type: ignore[type-arg]
    """Without the comma that would keep a shortened list one item a line."""
    return [*items[:-1], items[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)] if items else []


def _flatten(body: cst.BaseSuite, leading_lines: Sequence[cst.EmptyLine]) -> cst.FlattenSentinel[cst.BaseStatement]:
    """The statements of a branch that is always taken, below the comment of its condition."""
    first, *rest = [s for s in body.body if isinstance(s, cst.BaseStatement)]
    first = first.with_changes(leading_lines=[*leading_lines, *getattr(first, "leading_lines", [])])
    return cst.FlattenSentinel([first, *rest])


def _code(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node)


def _bool(value: bool) -> cst.Name:
    return cst.Name(str(value))


def _truth(node: cst.BaseExpression) -> bool | None:
    """Whether an expression is known to be true: of a literal only."""
    try:
        return bool(ast.literal_eval(_code(node)))
    except (ValueError, SyntaxError):
        return None


def _strip_docstring(node: Definition, gone: set[str]) -> Definition:
    """Remove the `Args:` or `Attributes:` entries of parameters that are gone."""
    first, *others = node.body.body
    if not gone or not m.matches(first, m.SimpleStatementLine(body=[m.Expr(m.SimpleString())])):
        return node
    expression = cst.ensure_type(cst.ensure_type(first, cst.SimpleStatementLine).body[0], cst.Expr)
    text = cst.ensure_type(expression.value, cst.SimpleString)
    stripped = expression.with_changes(value=text.with_changes(value=without_entries(text.value, gone)))
    return cst.ensure_type(
        node.with_changes(body=node.body.with_changes(body=[first.with_changes(body=[stripped]), *others])), type(node)
    )


def without_entries(docstring: str, gone: set[str]) -> str:
    """Remove entries from the sections of a Google-style docstring, and sections that they leave empty."""
    lines = docstring.split("\n")
    kept: list[str] = []
    indent = None
    for line in lines:
        depth = len(line) - len(line.lstrip())
        entry = re.match(r"\s+(\w+): ", line)
        if indent is not None and (depth > indent or not line.strip()) and line.strip():
            continue
        indent = depth if entry and entry.group(1) in gone else None
        if indent is None:
            kept.append(line)
    return re.sub(r"\n\n[ ]+(?:Args|Attributes):\n(?=\n|[ ]*\"\"\")", "\n", "\n".join(kept))


def _without_unused_helpers(source: str) -> str:
    """Remove private functions and constants of the module that nothing refers to any more."""
    while True:
        module = cst.parse_module(source)
        unused = [
            statement
            for statement in module.body
            if (name := _private_name(statement)) and len(re.findall(rf"\b{name}\b", source)) == 1
        ]
        if not unused:
            return source
        source = module.with_changes(body=[s for s in module.body if s not in unused]).code


def _private_name(statement: cst.CSTNode) -> str | None:
    if isinstance(statement, cst.FunctionDef | cst.ClassDef) and statement.name.value.startswith("_"):
        return statement.name.value
    return None
