"""Settings from the command line, which win over those of a file."""

from collections.abc import Callable, Sequence
from typing import Any

from dlcoder.templates.components.utils.settings import SettingsError, insert


def override(
    tree: dict[str, Any], assignments: Sequence[str], parse: Callable[[str], Any]
) -> None:
    """Put settings such as `train.epochs=3` into nested mappings, in place.

    Args:
        tree: Values by name.
        assignments: What wins over them.
        parse: Reads the text of a value.

    Raises:
        SettingsError: An assignment has no value, or its name leads into one.
    """
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if not separator:
            raise SettingsError(f"{assignment!r} has no value: write NAME=VALUE.")
        insert(tree, name, parse(text))
