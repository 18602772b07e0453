"""Review training code: find what is silently wrong, and correct what can be corrected without its author."""

import ast
import difflib
import re
from dataclasses import dataclass

from dlcoder.errors import UserError
from dlcoder.review.catalogue import catalogue
from dlcoder.review.rule import Edit, Found, Rule
from dlcoder.review.source import Source

_SILENCED = re.compile(r"#\s*dlcoder:\s*ignore(?:\[([\w\s,-]*)\])?")
_ROUNDS = 5
"""A correction may bring another fault to light: `F.softmax` without dim inside cross entropy."""


@dataclass(frozen=True)
class Finding:
    """A fault in a file.

    Attributes:
        rule: The rule that it breaks.
        file: The file.
        line: Its line, counted from 1.
        message: What is wrong, by the code's own names.
        edits: What corrects it; empty where the author must decide.
    """

    rule: Rule
    file: str
    line: int
    message: str
    edits: tuple[Edit, ...]


def review(text: str, name: str = "code", around: str = "") -> list[Finding]:
    """The faults of a file, in the order of its lines.

    A line's comment `# dlcoder: ignore[rule]` silences a rule there, `# dlcoder: ignore` all of them.

    Args:
        text: The file.
        name: What to call it.
        around: The text of all files that are read with it: what one sets up, another may use.

    Raises:
        UserError: The text is no Python.
    """
    source = Source(text, name, around)
    lines = text.splitlines()
    try:
        found = {
            (each.node.lineno, rule.name, each.message): Finding(rule, name, each.node.lineno, each.message, each.edits)
            for rule in catalogue().values()
            for each in rule.find(source)
            if not _is_silenced(lines, each, rule)
        }
    except RecursionError:
        raise UserError(f"{name} is nested too deeply to be read.", "Leave it out.") from None
    return [found[key] for key in sorted(found)]


def _is_silenced(lines: list[str], found: Found, rule: Rule) -> bool:
    for number in range(found.node.lineno, (found.node.end_lineno or found.node.lineno) + 1):
        comment = _SILENCED.search(lines[number - 1]) if number <= len(lines) else None
        if comment and (comment[1] is None or rule.name in re.split(r"[\s,]+", comment[1])):
            return True
    return False


def corrected(text: str, name: str = "code", around: str = "") -> str:
    """The text with every fault corrected that can be.

    Raises:
        UserError: The text is no Python.
    """
    for _ in range(_ROUNDS):
        edits = [edit for finding in review(text, name, around) for edit in finding.edits]
        if not edits:
            break
        text = _apply(text, edits)
    return text


def _apply(text: str, edits: list[Edit]) -> str:
    """Apply edits from the last to the first; of two that overlap, the next round gets the other."""
    modules = set()
    reached = len(text) + 1
    for edit in sorted(set(edits), key=lambda each: (each.start, each.end), reverse=True):
        if edit.end < reached:
            text = text[: edit.start] + edit.text + text[edit.end :]
            reached = edit.start
            modules |= {edit.module} - {""}
    for module in sorted(modules):
        text = _with_import(text, module)
    return text


def _with_import(text: str, module: str) -> str:
    """The text with `import MODULE`, among its imports or below its docstring."""
    source = Source(text)
    if source.imported.get(module) == module:
        return text
    statements = [node for node in source.tree.body if not _is_docstring(node)]
    future = [node for node in statements if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    position = (future[-1].end_lineno or 0) if future else statements[0].lineno - 1
    lines = text.splitlines(keepends=True)
    return "".join([*lines[:position], f"import {module}\n", *lines[position:]])


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def diff(old: str, new: str, name: str) -> str:
    """What a correction changes, as a patch that `patch -p1` and `git apply` take."""
    lines = difflib.unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
