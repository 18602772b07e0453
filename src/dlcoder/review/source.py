"""A parsed file, and the questions that rules ask of it."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import cast

from dlcoder.errors import UserError

Function = ast.FunctionDef | ast.AsyncFunctionDef
Loop = ast.For | ast.AsyncFor | ast.While
_SHAPING = {"view", "reshape", "squeeze", "unsqueeze", "flatten", "permute", "transpose", "contiguous"}
_SHAPING |= {"float", "double", "half", "to", "type", "cuda", "cpu", "clone"}
"""Methods whose result is still the same quantity."""


class Source:
    """One Python file.

    Args:
        text: Its content.
        name: What to call it in errors.
        around: The text of all files that are read with it, where there are others.

    Raises:
        UserError: It is no Python.
    """

    def __init__(self, text: str, name: str = "code", around: str = "") -> None:
        self.text = text
        self.around = around or text
        self.name = name
        try:
            self.tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            reason = error.msg if isinstance(error, SyntaxError) else type(error).__name__
            raise UserError(f"{name}{line} cannot be parsed: {reason}.", "Correct the syntax first.") from None
        self.nodes = list(ast.walk(self.tree))
        self._calls_in: dict[ast.AST, list[ast.Call]] = {}
        self._parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    def mentions(self, pattern: str) -> bool:
        """Whether a pattern, in letters of either case, is found in any of the files that are read together."""
        return _mentions(pattern, self.around)

    def times_named(self, name: str) -> int:
        """How often a word stands in all files that are read together."""
        return _words(self.around)[name]

    # Places

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        for line in self.text.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        return starts

    def _offset(self, line: int, column: int) -> int:
        """Columns of the parser count bytes; offsets count characters."""
        start = self._line_starts[line - 1]
        head = self.text[start : start + column]
        return start + (column if head.isascii() else len(head.encode()[:column].decode(errors="ignore")))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Where a node begins and ends in the text."""
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
        return self._offset(node.lineno, node.col_offset), self._offset(end_line, end_column)

    def code(self, node: ast.expr | ast.stmt) -> str:
        """The text of a node."""
        start, end = self.span(node)
        return self.text[start:end]

    # Surroundings

    def parent(self, node: ast.AST) -> ast.AST:
        """What a node is directly a part of."""
        return self._parents[node]

    def parents(self, node: ast.AST) -> Iterator[ast.AST]:
        """What a node lies in, from the inside out."""
        while node in self._parents:
            node = self._parents[node]
            yield node

    def statement(self, node: ast.AST) -> ast.stmt:
        """The statement that a node is part of."""
        return next(each for each in (node, *self.parents(node)) if isinstance(each, ast.stmt))

    def scope(self, node: ast.AST) -> Function | ast.Module:
        """The function that a node lies in, else the module."""
        within = (each for each in self.parents(node) if isinstance(each, Function | ast.Module))
        return next(within, self.tree)

    def owner(self, node: ast.AST) -> ast.ClassDef | None:
        """The class that a node lies in."""
        return next((each for each in self.parents(node) if isinstance(each, ast.ClassDef)), None)

    def names_around(self, node: ast.AST) -> str:
        """The names of the class and of the function that a node lies in."""
        return f"{getattr(self.owner(node), 'name', '')} {getattr(self.scope(node), 'name', '')}"

    def text_around(self, node: ast.AST) -> str:
        """The text of the function that a node lies in, else of the file."""
        scope = self.scope(node)
        return self.text if isinstance(scope, ast.Module) else self.code(scope)

    def up_to(self, node: ast.AST, outermost: ast.AST) -> Iterator[ast.AST]:
        """What a node lies in, from the inside out, within `outermost`."""
        for outer in self.parents(node):
            if outer is outermost:
                return
            yield outer

    def inside(self, node: ast.AST, outer: ast.AST) -> bool:
        """Whether a node is part of another."""
        return node is outer or any(each is outer for each in self.parents(node))

    def within(self, outer: ast.AST) -> Iterator[ast.AST]:
        """All nodes of a function, loop or module but those of functions and classes defined in it."""
        waiting = list(ast.iter_child_nodes(outer))[::-1]
        while waiting:
            node = waiting.pop()
            yield node
            if not isinstance(node, Function | ast.ClassDef | ast.Lambda):
                waiting += list(ast.iter_child_nodes(node))[::-1]

    # Names

    @cached_property
    def imported(self) -> dict[str, str]:
        """What each imported name stands for."""
        found = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        return found

    def dotted(self, node: ast.AST) -> str:
        """`torch.nn.functional.relu` for `F.relu`, by the file's imports; empty for what is no dotted name."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            head = self.dotted(node.value)
            return f"{head}.{node.attr}" if head else ""
        return ""

    def imports(self, module: str) -> bool:
        """Whether the file imports a package or something from it."""
        return any(name == module or name.startswith(f"{module}.") for name in self.imported.values())

    # Calls

    @cached_property
    def calls(self) -> list[ast.Call]:
        """Every call, in the order of the text."""
        calls = [node for node in self.nodes if isinstance(node, ast.Call)]
        return sorted(calls, key=lambda call: (call.lineno, call.col_offset))

    def calls_in(self, outer: ast.AST) -> list[ast.Call]:
        """The calls of a function, loop or module itself, in the order of the text."""
        if outer not in self._calls_in:
            calls = [node for node in self.within(outer) if isinstance(node, ast.Call)]
            self._calls_in[outer] = sorted(calls, key=lambda call: (call.lineno, call.col_offset))
        return self._calls_in[outer]

    def called(self, call: ast.Call) -> str:
        """The dotted name of what is called."""
        return self.dotted(call.func)

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """The classes of the file by name."""
        return {node.name: node for node in self.nodes if isinstance(node, ast.ClassDef)}

    @cached_property
    def functions(self) -> list[Function]:
        """All functions and methods."""
        return [node for node in self.nodes if isinstance(node, Function)]

    def method(self, owner: ast.ClassDef, name: str) -> Function | None:
        """A method of a class."""
        return next((node for node in owner.body if isinstance(node, Function) and node.name == name), None)

    def is_module(self, owner: ast.ClassDef | None) -> bool:
        """Whether a class derives from `nn.Module`, as far as the file shows."""
        if owner is None:
            return False
        bases = [self.dotted(base) for base in owner.bases]
        return any(
            base in ("torch.nn.Module", "nn.Module")
            or base.endswith(("LightningModule", "PreTrainedModel"))
            or (base != owner.name and base in self.classes and self.is_module(self.classes[base]))
            for base in bases
        )

    # Values

    @cached_property
    def _makers(self) -> dict[str, set[str]]:
        """What constructs the variables and attributes of a name, anywhere in the file."""
        found: dict[str, set[str]] = defaultdict(set)
        for node in self.nodes:
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                value: ast.expr = node.value
                # `Net().to(device)` makes a Net.
                while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
                    if not isinstance(value.func.value, ast.Call):
                        break
                    value = value.func.value
                made = self.called(value) if isinstance(value, ast.Call) else "?"
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    if isinstance(target, ast.Name | ast.Attribute):
                        found[last_word(target)].add(made)
        return found

    def made_by(self, node: ast.AST) -> set[str]:
        """The dotted names of the calls whose results a variable or attribute of this name holds in the file."""
        word = last_word(node)
        return self._makers.get(word, set()) if word else set()

    def is_a(self, node: ast.AST, *makers: str) -> bool:
        """Whether a variable holds what one of `makers` made, and never anything else of a known kind."""
        made = {each for each in self.made_by(node) if each not in ("?", "")}
        return bool(made) and all(each.endswith(makers) for each in made)

    def origin(self, node: ast.expr) -> ast.expr:
        """The expression that a value comes from: variables followed back, changes of shape and type looked through."""
        for _ in range(20):
            if isinstance(node, ast.Name):
                value = self._last_value(node)
                if value is None:
                    return node
                node = value
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in _SHAPING
                and self.dotted(node.func).partition(".")[0] not in ("torch", "numpy")
            ):
                node = node.func.value
            elif isinstance(node, ast.Subscript):
                node = node.value
            else:
                return node
        return node

    @cached_property
    def _values(self) -> dict[tuple[ast.AST, str], list[ast.Assign]]:
        """The assignments of a value to one variable, by scope and name, in the order of the text."""
        found: dict[tuple[ast.AST, str], list[ast.Assign]] = defaultdict(list)
        for node in self.nodes:
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                found[self.scope(node), node.targets[0].id].append(node)
        for assignments in found.values():
            assignments.sort(key=lambda each: each.lineno)
        return found

    def _last_value(self, name: ast.Name) -> ast.expr | None:
        """What was last assigned to a variable above its use, in the same function."""
        above = [
            each for each in self._values[self.scope(name), name.id] if (each.end_lineno or each.lineno) < name.lineno
        ]
        return above[-1].value if above else None


@lru_cache(maxsize=256)
def _mentions(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None


@lru_cache(maxsize=4)
def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text))


def last_word(node: ast.AST) -> str:
    """`criterion` for `self.criterion` and `criterion`; empty for what is neither variable nor attribute."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def argument(call: ast.Call, position: int, *names: str) -> ast.expr | None:
    """An argument of a call, by position or by one of its names."""
    named = keyword(call, *names)
    if named is not None:
        return named
    plain = [each for each in call.args if not isinstance(each, ast.Starred)]
    return plain[position] if position < len(plain) and len(plain) == len(call.args) else None


def keyword(call: ast.Call, *names: str) -> ast.expr | None:
    """An argument of a call that is given by one of its names."""
    return next((each.value for each in call.keywords if each.arg in names), None)


def unpacks(call: ast.Call) -> bool:
    """Whether a call takes keywords from a mapping, so that any could be given."""
    return any(each.arg is None for each in call.keywords)


def attribute(call: ast.Call) -> str:
    """The method that a call calls: `backward` for `loss.backward()`."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def receiver(call: ast.Call) -> ast.expr:
    """What a method is called on."""
    return cast("ast.Attribute", call.func).value


def same(left: ast.AST, right: ast.AST) -> bool:
    """Whether two expressions are written alike."""
    return ast.dump(left) == ast.dump(right)
