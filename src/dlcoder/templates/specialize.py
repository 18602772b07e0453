"""A component, made for one project: its options bound, and what they decide decided."""

import re

from dlcoder.templates.bindings import Binding, Bindings
from dlcoder.templates.kept import KEPT

COMPONENTS = "dlcoder.templates.components"
NEEDS = "# needs: "
"""Begins the comment above a test that needs an option."""


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
    relevant = [
        (name, tuple(sorted(params.items())))
        for name, params in sorted(bindings.items())
        if name in source and re.search(rf"\b{name}\b", source)
    ]
    if relevant or NEEDS in source:
        source = _bound(source, tuple(relevant))
    # The dotted name occurs in imports only, and means nothing else.
    return source.replace(f"{COMPONENTS}.", f"{package}.")


def _bound(source: str, bindings: tuple[tuple[str, tuple[tuple[str, Binding], ...]], ...]) -> str:
    """The source with its options bound; most files are the same from project to project."""
    key = ("specialized", source, repr(bindings))
    text = KEPT.get(*key)
    if text is None:
        from dlcoder.templates.specializer import bind  # a quarter of a second, mostly for libcst

        text = bind(source, {name: dict(params) for name, params in bindings})
        KEPT.put(text, *key)
    return text
