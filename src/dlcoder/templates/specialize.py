"""A component, made for one project: its options bound, and what they decide decided."""

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
        (name, tuple(sorted(params.items()))) for name, params in sorted(bindings.items()) if _names(source, name)
    ]
    if relevant or NEEDS in source:
        source = _bound(source, tuple(relevant))
    # The dotted name occurs in imports only, and means nothing else.
    return source.replace(f"{COMPONENTS}.", f"{package}.")


def _names(source: str, name: str) -> bool:
    """Whether a name occurs as a word: what a pattern says as well, which would have to be compiled for each."""
    start = source.find(name)
    while start >= 0:
        around = source[start - 1 : start] + source[start + len(name) : start + len(name) + 1]
        if not any(letter.isalnum() or letter == "_" for letter in around):
            return True
        start = source.find(name, start + 1)
    return False


def _bound(source: str, bindings: tuple[tuple[str, tuple[tuple[str, Binding], ...]], ...]) -> str:
    """The source with its options bound; most files are the same from project to project."""
    key = ("specialized", source, repr(bindings))
    text = KEPT.get(*key)
    if text is None:
        from dlcoder.templates.specializer import bind  # a quarter of a second, mostly for libcst

        text = bind(source, {name: dict(params) for name, params in bindings})
        KEPT.put(text, *key)
    return text
