"""What becomes of a definition whose options are bound: parameters, fields, docstring, helpers."""

import ast
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

import libcst as cst
import libcst.matchers as m

from dlcoder.templates.bindings import Binding, Default, Fixed, Present, fixed
from dlcoder.templates.conditions import shortened
from dlcoder.templates.syntax import parsed

Definition = TypeVar("Definition", cst.FunctionDef, cst.ClassDef)


def bind_params(params: cst.Parameters, bound: Mapping[str, Binding]) -> cst.Parameters:
    """Bind the options that are parameters."""
    gone = fixed(bound)

    def bind(group: Sequence[cst.Param]) -> list[cst.Param]:
        return [_bind_param(p, bound.get(p.name.value)) for p in group if p.name.value not in gone]

    keyword_only = bind(params.kwonly_params)
    star = params.star_arg if keyword_only or isinstance(params.star_arg, cst.Param) else cst.MaybeSentinel.DEFAULT
    changed = params.with_changes(params=bind(params.params), kwonly_params=keyword_only, star_arg=star)
    last = "kwonly_params" if keyword_only else "params"
    return changed.with_changes(**{last: shortened(getattr(changed, last))}) if gone else changed


def _bind_param(param: cst.Param, binding: Binding | None) -> cst.Param:
    if isinstance(binding, Default):
        return param.with_changes(default=cst.parse_expression(binding.code))
    if isinstance(binding, Present):
        return param.with_changes(
            annotation=_without_none(param.annotation), default=None, equal=cst.MaybeSentinel.DEFAULT
        )
    return param


def bind_fields(body: cst.IndentedBlock, bound: Mapping[str, Binding]) -> cst.IndentedBlock:
    """Bind the options that are a dataclass's fields; a class with a constructor only says their types there."""
    has_constructor = any(isinstance(s, cst.FunctionDef) and s.name.value == "__init__" for s in body.body)
    kept: list[cst.BaseStatement] = []
    for statement in body.body:
        field = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
        if not isinstance(field, cst.AnnAssign) or not isinstance(field.target, cst.Name):
            kept.append(statement)
            continue
        binding = bound.get(field.target.value)
        if isinstance(binding, Fixed):
            continue
        if isinstance(binding, Default) and not has_constructor:
            field = field.with_changes(value=cst.parse_expression(binding.code), equal=cst.AssignEqual())
        elif isinstance(binding, Present):
            field = field.with_changes(
                annotation=_without_none(field.annotation), value=None, equal=cst.MaybeSentinel.DEFAULT
            )
        kept.append(statement.with_changes(body=[field]))
    return body.with_changes(body=kept)


def _without_none(annotation: cst.Annotation | None) -> cst.Annotation | None:
    if annotation and m.matches(annotation.annotation, m.BinaryOperation(operator=m.BitOr(), right=m.Name("None"))):
        return cst.Annotation(cst.ensure_type(annotation.annotation, cst.BinaryOperation).left)
    return annotation


def strip_docstring(node: Definition, gone: set[str]) -> Definition:
    """Remove the docstring's entries of parameters that are gone."""
    first, *others = node.body.body
    if not gone or not m.matches(first, m.SimpleStatementLine(body=[m.Expr(m.SimpleString())])):
        return node
    expression = cst.ensure_type(cst.ensure_type(first, cst.SimpleStatementLine).body[0], cst.Expr)
    text = cst.ensure_type(expression.value, cst.SimpleString)
    stripped = expression.with_changes(value=text.with_changes(value=without_entries(text.value, gone)))
    body = node.body.with_changes(body=[first.with_changes(body=[stripped]), *others])
    return cst.ensure_type(node.with_changes(body=body), type(node))


def without_entries(docstring: str, gone: set[str]) -> str:
    """Remove entries from the sections of a Google-style docstring, and sections that they leave empty."""
    kept: list[str] = []
    entry_indent: int | None = None
    for line in docstring.split("\n"):
        depth = len(line) - len(line.lstrip())
        if entry_indent is not None and line.strip() and depth > entry_indent:
            continue
        entry = re.match(r"\s+(\w+): ", line)
        entry_indent = depth if entry and entry.group(1) in gone else None
        if entry_indent is None:
            kept.append(line)
    return re.sub(r"\n\n[ ]+(?:Args|Attributes):\n(?=\n|[ ]*\"\"\")", "\n", "\n".join(kept))


def without_unused_helpers(source: str) -> str:
    """Remove the private functions and classes of a module that nothing refers to any more."""
    while unused := _unused_helpers(source):
        definition = re.compile(rf"^(?:def|class) (?:{'|'.join(unused)})\b", re.MULTILINE)
        source = "".join(part for part in definitions(source) if not definition.search(part))
    return source


def definitions(source: str) -> list[str]:
    """A module cut before each of its functions and classes, and the comments and decorators above them."""
    lines = source.splitlines(keepends=True)
    starts = {0}
    for node in parsed(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
            while start and lines[start - 1].startswith("#"):
                start -= 1
            starts |= {start, node.end_lineno or start}
    cuts = [*sorted(starts), len(lines)]
    return ["".join(lines[begin:end]) for begin, end in pairwise(cuts)]


def _unused_helpers(source: str) -> set[str]:
    helpers = re.findall(r"^(?:def|class) (_\w+)", source, re.MULTILINE)
    return {name for name in helpers if len(re.findall(rf"\b{name}\b", source)) == 1}
