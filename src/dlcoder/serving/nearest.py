"""The name that was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name closest to `name`, or `None` where none is close."""
    by_lower = {item.lower().replace("-", "_"): item for item in known}
    wanted = name[:100].lower().replace("-", "_")
    close = get_close_matches(wanted, by_lower, n=1, cutoff=0.6)
    if not close:  # a part of the name, or the name with something added
        close = [item for item in by_lower if min(len(item), len(wanted)) > 2 and (item in wanted or wanted in item)]
    return by_lower[close[0]] if close else None
