"""What is known about the options of a component."""

from collections.abc import Mapping
from dataclasses import dataclass


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


def fixed(bound: Mapping[str, Binding]) -> set[str]:
    """The parameters that disappear."""
    return {name for name, binding in bound.items() if isinstance(binding, Fixed)}
