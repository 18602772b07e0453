"""What must stand in a line for a pattern to match there: literals, read off the expression itself.

A pattern is a list of alternatives; of each, a set of literals is computed of which at least one must be present. One
pass
over the text finds the literals; an alternative is tried only on the lines that hold one of its own.
"""

import importlib
from dataclasses import dataclass
from typing import Any


def _parser() -> Any:
    """The parser of the standard library's expressions; a private module, needed only when the files are compiled."""
    return importlib.import_module("re._parser")


@dataclass(frozen=True, slots=True)
class Alternative:
    """One alternative of one pattern.

    Attributes:
        regex: The expression.
        literals: Lower-case literals of which one must be present; empty where there is none.
    """

    regex: str
    literals: tuple[str, ...]


def split_alternatives(regex: str) -> list[str]:
    """Split an expression at the bars outside of groups and classes."""
    parts = [""]
    depth = 0
    in_class = False
    i = 0
    while i < len(regex):
        char = regex[i]
        if char == "\\":
            parts[-1] += regex[i : i + 2]
            i += 2
            continue
        if in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif char == "|" and depth == 0:
            parts.append("")
            i += 1
            continue
        parts[-1] += char
        i += 1
    return parts


def _better(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """Of two sets of which one must be present, the one whose shortest literal is longer."""

    def worth(literals: tuple[str, ...]) -> tuple[int, int]:
        return (min(map(len, literals), default=0), -len(literals))

    return max(one, other, key=worth)


def _required(tokens: Any) -> tuple[str, ...]:
    """A set of literals, one of which every match of `tokens` contains; empty where none is known."""
    best: tuple[str, ...] = ()
    run = ""
    for operator, argument in tokens:
        name = str(operator)
        if name == "LITERAL":
            run += chr(argument)
            continue
        if run:
            best, run = _better(best, (run.lower(),)), ""
        if name == "SUBPATTERN":
            best = _better(best, _required(argument[-1]))
        elif name in ("MAX_REPEAT", "MIN_REPEAT") and argument[0] >= 1:
            best = _better(best, _required(argument[2]))
        elif name == "BRANCH":
            options = [_required(option) for option in argument[1]]
            if all(options):
                best = _better(best, tuple(dict.fromkeys(literal for option in options for literal in option)))
    return _better(best, (run.lower(),)) if run else best


def alternatives(regex: str) -> list[Alternative]:
    """Take an expression apart."""
    found = []
    for part in split_alternatives(regex):
        literals = _required(_parser().parse(part))
        usable = literals if literals and min(len(literal.encode()) for literal in literals) >= 2 else ()
        found.append(Alternative(part, usable))
    return found
