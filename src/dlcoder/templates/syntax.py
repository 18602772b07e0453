"""Syntax trees of sources, to be read and not changed."""

import ast
from functools import lru_cache


@lru_cache(maxsize=16)
def parsed(source: str) -> ast.Module:
    """The tree of a source: a rendering looks at each text from several sides.

    Raises:
        SyntaxError: It is no Python.
    """
    return ast.parse(source)
