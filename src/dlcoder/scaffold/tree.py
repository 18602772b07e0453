"""A project's files as a tree, short enough to read."""

from collections.abc import Iterable

_LISTED = 9
"""A directory with more files than this is summed up."""


def draw_tree(name: str, paths: Iterable[str]) -> str:
    """Draw a tree: a line for each directory, with the names of its files."""
    folders: dict[str, list[str]] = {}
    for path in sorted(paths):
        folder, _, file = path.rpartition("/")
        folders.setdefault(folder, []).append(file)
    lines = [f"{name}/  {_listing(folders.pop('', []))}"]
    for folder in sorted(folders):
        files = [file for file in folders[folder] if file != "__init__.py"]
        if files:
            lines.append(f"  {folder}/  {_listing(files)}")
    return "\n".join(lines)


def _listing(files: list[str]) -> str:
    if len(files) <= _LISTED:
        return "  ".join(files)
    return "  ".join(files[:3]) + f"  ... {len(files)} files"
