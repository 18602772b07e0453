"""The user's source: which line raised, which line to change."""

from __future__ import annotations

import ast
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any


def clip(text: str, limit: int) -> str:
    """Cap a text on one line or several, the cut marked."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Source:
    """One file of the user's, and the part of it that is checked.

    Args:
        file: The name under which it was compiled.
        text: Its content.
    """

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.lines = text.splitlines()
        self.span = (1, len(self.lines))
        self.files = {file}
        try:
            self.tree: ast.Module = ast.parse(text)
        except SyntaxError:
            self.tree = ast.parse("")

    def focus(self, name: str) -> None:
        """Prefer the lines of the class or function called `name`."""
        node = self.node(name)
        if node is not None and getattr(node, "end_lineno", None):
            self.span = (int(node.lineno), int(node.end_lineno or node.lineno))

    def node(self, name: str) -> Any:
        """The definition of that class or function, or None."""
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        found = [node for node in ast.walk(self.tree) if isinstance(node, kinds) and node.name == name]
        return found[0] if found else None

    def body(self) -> str:
        """The text of the part that is checked."""
        return "\n".join(self.lines[self.span[0] - 1 : self.span[1]])

    def code(self) -> str:
        """That part without comments and docstrings."""
        return "\n".join(self._bare(number) for number in range(self.span[0], self.span[1] + 1))

    def docs_in_focus(self) -> str:
        """Docstrings and comments of the part that is checked, as they are written."""
        numbers = range(self.span[0], self.span[1] + 1)
        lines = [self.lines[n - 1] for n in numbers if n <= len(self.lines)]
        return "\n".join(
            line if n in self._doc_lines() else line.split("#", 1)[1]
            for n, line in zip(numbers, lines)
            if n in self._doc_lines() or "#" in line
        )

    def docs(self) -> str:
        """Docstrings and comments of the whole file, in lower case."""
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        strings = [ast.get_docstring(node) or "" for node in ast.walk(self.tree) if isinstance(node, kinds)]
        comments = [line.split("#", 1)[1] for line in self.lines if "#" in line]
        return "\n".join([*strings, *comments]).lower()

    def quote(self, number: int) -> str:
        """`line 12 ('return loss')`."""
        text = self.lines[number - 1].strip() if 0 < number <= len(self.lines) else ""
        return f"line {number} (`{clip(text, 100)}`)"

    def first(self, *patterns: str) -> int | None:
        """The number of the first code line that matches: patterns in order, for each the focus before the rest."""
        for pattern in patterns:
            expression = re.compile(pattern)
            inside: list[int] = list(range(self.span[0], self.span[1] + 1))
            outside = [n for n in range(1, len(self.lines) + 1) if not self.span[0] <= n <= self.span[1]]
            for number in [*inside, *outside]:
                if expression.search(self._bare(number)):
                    return int(number)
        return None

    def point(self, *patterns: str, otherwise: str = "the code") -> str:
        """The first matching line, quoted; or `otherwise`."""
        number = self.first(*patterns)
        return otherwise if number is None else self.quote(number)

    def _bare(self, number: int) -> str:
        if not 0 < number <= len(self.lines) or number in self._doc_lines():
            return ""
        return self.lines[number - 1].split("  #", 1)[0]

    def _doc_lines(self) -> set[int]:
        if not hasattr(self, "_docs"):
            self._docs: set[int] = set()
            for node in ast.walk(self.tree):
                if (
                    isinstance(node, ast.Expr)
                    and isinstance(node.value, ast.Constant)
                    and isinstance(node.value.value, str)
                ):
                    self._docs.update(range(node.lineno, int(node.end_lineno or node.lineno) + 1))
            self._docs.update(n for n, line in enumerate(self.lines, 1) if line.lstrip().startswith("#"))
        return self._docs

    def is_coefficient(self, number: int) -> bool:
        """Whether what is detached on a line multiplies something else or is called a weight: constant on purpose."""
        return self.is_factor(number) or self.is_called_constant(number)

    def is_factor(self, number: int) -> bool:
        """Whether what is detached on a line multiplies something else that varies."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
                sides = (node.left, node.right)
                held = [_detaches(side, number) for side in sides]
                if any(held) and not all(held) and _varies(sides[held.index(False)]):
                    return True
        return False

    def is_called_constant(self, number: int) -> bool:
        """Whether what is detached on a line is given the name of a weight or a target."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign) and _detaches(node.value, number):
                names = " ".join(n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name))
                if re.search(r"weight|alpha|coef|mask|scale|center|baseline|teacher|target|norm", names):
                    return True
        return False

    def conditional(self, name: str) -> bool:
        """Whether every use of a constructor argument is under a condition: it may count under other options."""
        uses: list[bool] = []
        node = self.node_in_focus()
        if node is not None:
            _uses(node, name, False, uses)
        return bool(uses) and all(uses)

    def node_in_focus(self) -> Any:
        """The definition that starts on the focus's first line."""
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.lineno == self.span[0]:
                return node
        return None

    def raised_at(self, error: BaseException) -> str | None:
        """The user's innermost line in a traceback, quoted; None if the user's code took no part."""
        frames = [entry for entry in traceback.extract_tb(error.__traceback__) if entry.filename in self.files]
        if isinstance(error, SyntaxError) and error.filename in self.files:
            return self.quote(error.lineno or 1)
        if not frames:
            return None
        return self._quote_in(frames[-1].filename, frames[-1].lineno or 0)

    def _quote_in(self, file: str, number: int) -> str:
        if file == self.file:
            return self.quote(number)
        try:
            text = Path(file).read_text(encoding="utf-8").splitlines()[number - 1].strip()
        except (OSError, IndexError, UnicodeDecodeError):
            text = ""
        return f"{Path(file).name} line {number} (`{clip(text, 100)}`)"

    def running_line(self) -> int | None:
        """The user's innermost line that is being executed now."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_filename == self.file:
                return frame.f_lineno
            frame = frame.f_back
        return None

    def compared(self, name: str) -> list[ast.expr]:
        """What the code compares a variable, or what is made of it, with by == or !=, other than to refuse it."""
        names, found = {name}, list[ast.expr]()
        for node in _walk(self.node_in_focus() or self.tree):
            if isinstance(node, ast.Assign) and _names(node.value) & names:
                names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
                left, right = node.left, node.comparators[0]
                if isinstance(left, ast.Name) and left.id in names:
                    found.append(right)
        return found

    def passed(self, keyword: str) -> list[ast.expr]:
        """What the code passes by that keyword in calls."""
        calls = [node for node in ast.walk(self.node_in_focus() or self.tree) if isinstance(node, ast.Call)]
        return [given.value for call in calls for given in call.keywords if given.arg == keyword]

    def mentions(self, words: Iterable[str]) -> bool:
        """Whether docstrings or comments contain one of the words."""
        docs = self.docs()
        return any(word in docs for word in words)


def _uses(node: ast.AST, name: str, guarded: bool, found: list[bool]) -> None:
    """For each use of a name or `self.name`, whether it is guarded by an `if`; plain copies into self do not count."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id == name:
        return
    word = getattr(node, "id", None) or getattr(node, "attr", None)
    if isinstance(node, (ast.Name, ast.Attribute)) and word == name and isinstance(node.ctx, ast.Load):
        found.append(guarded)
    if isinstance(node, ast.If) and all(isinstance(part, (ast.Raise, ast.Assert)) for part in node.body):
        return  # refusing a value is no use of it
    if isinstance(node, (ast.If, ast.IfExp)):
        _uses(node.test, name, True, found)
        for part in [*_listed(node.body), *_listed(node.orelse)]:
            _uses(part, name, True, found)
        return
    for child in ast.iter_child_nodes(node):
        _uses(child, name, guarded, found)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes in the order of the text, without assertions and conditions under which the code raises."""
    for child in ast.iter_child_nodes(node):
        refuses = isinstance(child, ast.If) and all(isinstance(part, ast.Raise) for part in child.body)
        if not refuses and not isinstance(child, ast.Assert):
            yield child
            yield from _walk(child)


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _listed(part: Any) -> list[Any]:
    return part if isinstance(part, list) else [part]


def _detaches(node: ast.AST, number: int) -> bool:
    """Whether an expression is a detached one, or made of one alone; a product of it with something else is not."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        return False
    return any(
        isinstance(n, ast.Attribute) and n.attr in ("detach", "data") and n.lineno == number for n in ast.walk(node)
    )


def _varies(node: ast.AST) -> bool:
    """Whether an expression holds more than constants and settings."""
    return any(isinstance(n, ast.Call) or (isinstance(n, ast.Name) and n.id != "self") for n in ast.walk(node))
