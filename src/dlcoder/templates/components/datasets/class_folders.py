"""Classes by the sub-folders that hold their samples."""

from collections.abc import Sequence
from pathlib import Path


def class_folders(root: Path, classes: Sequence[str] | None) -> list[str]:
    """Return the names of the classes, by label.

    Args:
        root: A folder with one sub-folder for each class.
        classes: The names, if they are known; a sub-folder may be missing then. None
            for those of the sub-folders, in order.

    Raises:
        FileNotFoundError: `root` is no folder.
        ValueError: A sub-folder is none of `classes`.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder.")
    found = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    names = list(classes or found)
    if unknown := sorted(set(found) - set(names)):
        raise ValueError(
            f"{root} has folders that are none of the {len(names)} "
            f"classes: {', '.join(unknown[:5])}."
        )
    return names
