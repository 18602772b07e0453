"""What a rule is, and what it finds."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dlcoder.review.source import Source


@dataclass(frozen=True)
class Edit:
    """A piece of source replaced by another.

    Attributes:
        start: Where it begins, as an offset into the text.
        end: Where it ends; equal to `start` for an insertion.
        text: What stands there afterwards.
        module: A module that the new text needs imported, such as `copy`.
    """

    start: int
    end: int
    text: str
    module: str = ""


@dataclass(frozen=True)
class Found:
    """A place where a rule is broken.

    Attributes:
        node: The code that is wrong.
        message: What is wrong with it, by the code's own names.
        edits: What corrects it, where that can be done without a decision of the author.
    """

    node: ast.expr | ast.stmt
    message: str
    edits: tuple[Edit, ...] = ()


Finder = Callable[[Source], Iterable[Found]]


@dataclass(frozen=True)
class Rule:
    """A fault that training code has, and how to see it.

    Attributes:
        name: Its name in findings, and in comments that silence it.
        title: What it finds, in a few words.
        why: What the fault does to a training run.
        fix: What to change.
        bad: The fault in a few lines that really have it.
        good: The same code without it.
        reference: Where more is said; may be empty.
        find: Finds it.
    """

    name: str
    title: str
    why: str
    fix: str
    bad: str
    good: str
    reference: str
    find: Finder


def rule(find: Finder) -> Rule:
    """The rule that a function finds.

    All that is said of it stands in the function's docstring: a title, then the parts
    `Why:`, `Fix:`, `Bad:` and `Good:` (code, indented below their names), and `Reference:`.
    """
    title, _, rest = (inspect.getdoc(find) or "").partition("\n")
    parts = dict(re.findall(r"^(\w+):(.*?)(?=^\w+:|\Z)", rest, re.MULTILINE | re.DOTALL))
    return Rule(
        name=find.__name__.replace("_", "-"),
        title=title.rstrip("."),
        why=" ".join(parts["Why"].split()),
        fix=" ".join(parts["Fix"].split()),
        bad=textwrap.dedent(parts["Bad"]).strip() + "\n",
        good=textwrap.dedent(parts["Good"]).strip() + "\n",
        reference=parts.get("Reference", "").strip(),
        find=find,
    )


def replace(source: Source, node: ast.expr | ast.stmt, text: str, module: str = "") -> Edit:
    """The edit that puts `text` in the place of a node."""
    return Edit(*source.span(node), text, module)


def give(source: Source, call: ast.Call, argument: str, module: str = "") -> Edit:
    """The edit that gives one more keyword argument to a call."""
    start, end = source.span(call)
    before = source.text[start : end - 1].rstrip().rstrip(",")
    separator = ", " if call.args or call.keywords else ""
    return Edit(start, end, f"{before}{separator}{argument})", module)


def insert_before(source: Source, node: ast.AST, line: str) -> Edit:
    """The edit that puts a line before the statement that a node is part of, indented alike."""
    statement = source.statement(node)
    start, _ = source.span(statement)
    return Edit(start, start, f"{line}\n{' ' * statement.col_offset}")
