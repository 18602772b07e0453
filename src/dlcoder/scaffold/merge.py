"""Three-way merge of a file: what its owner changed and what a new version changed, on top of what both began with."""

import difflib
import json
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

_OURS, _BASE, _THEIRS, _END = "<<<<<<< yours\n", "||||||| as scaffolded\n", "=======\n", ">>>>>>> new\n"
MARKS = (_OURS, _END)
"""What a conflict in a text begins and ends with."""


@dataclass(frozen=True)
class Merged:
    """The result of a merge.

    Attributes:
        content: The merged file. Where both sides changed the same lines of a text, it holds both between marks; where
            they changed the same setting, the owner's value.
        conflicts: What could not be decided, a line each; empty if everything could.
    """

    content: bytes
    conflicts: list[str] = field(default_factory=list)


def merge(path: str, base: bytes, ours: bytes, theirs: bytes) -> Merged:
    """Merge two changed versions of a file.

    Args:
        path: Its name, whose suffix says how it is read: TOML, YAML and JSON are merged by key, other texts by line.
        base: What both versions began with.
        ours: The owner's version.
        theirs: The new version.
    """
    if ours in (base, theirs):
        return Merged(theirs)
    if theirs == base:
        return Merged(ours)
    try:
        texts = [version.decode("utf-8") for version in (base, ours, theirs)]
    except UnicodeDecodeError:
        return Merged(ours, ["both changed, and it is no text: yours was kept"])
    by_line = _merge_texts(*texts)
    by_key = _merge_settings(PurePath(path).suffix, *texts)
    if by_key is None:
        return by_line
    # Lines keep the comments of both sides; keys decide where lines cannot, or would say something else.
    same = not by_line.conflicts and _loads(PurePath(path).suffix, by_line.content.decode()) == _loads(
        PurePath(path).suffix, by_key.content.decode()
    )
    return by_line if same and not by_key.conflicts else by_key


# -- texts -------------------------------------------------------------------------------------------------------------


def _merge_texts(base: str, ours: str, theirs: str) -> Merged:
    lines = [text.splitlines(keepends=True) for text in (base, ours, theirs)]
    merged: list[str] = []
    conflicts = []
    for base_part, our_part, their_part in _parts(*lines):
        if our_part in (base_part, their_part):
            merged += their_part
        elif their_part == base_part:
            merged += our_part
        else:
            conflicts.append(f"line {len(merged) + 1}: both changed the same lines")
            for mark, part in ((_OURS, our_part), (_BASE, base_part), (_THEIRS, their_part)):
                merged += [mark, *_ended(part)]
            merged.append(_END)
    return Merged("".join(merged).encode(), conflicts)


def _ended(lines: Sequence[str]) -> list[str]:
    """Lines of which the last has an end too, so that a mark can follow."""
    return [line if line.endswith("\n") else f"{line}\n" for line in lines]


def _parts(
    base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]
) -> Iterator[tuple[Sequence[str], Sequence[str], Sequence[str]]]:
    """Cut three versions into corresponding parts: alike in all three, and what lies between."""
    position = (0, 0, 0)
    for start, size in _common(base, ours, theirs):
        yield tuple(text[a:b] for text, a, b in zip((base, ours, theirs), position, start, strict=True))  # type: ignore[misc]
        position = tuple(place + size for place in start)  # type: ignore[assignment]
        yield (base[start[0] : position[0]],) * 3
    yield base[position[0] :], ours[position[1] :], theirs[position[2] :]


def _common(
    base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]
) -> Iterator[tuple[tuple[int, int, int], int]]:
    """Runs of lines that all three versions have: where they begin in each, and how many lines they are."""
    in_ours = difflib.SequenceMatcher(None, base, ours, autojunk=False).get_matching_blocks()
    in_theirs = difflib.SequenceMatcher(None, base, theirs, autojunk=False).get_matching_blocks()
    for one in in_ours:
        for other in in_theirs:
            start, end = max(one.a, other.a), min(one.a + one.size, other.a + other.size)
            if start < end:
                yield (start, one.b + start - one.a, other.b + start - other.a), end - start


# -- settings ----------------------------------------------------------------------------------------------------------


def _merge_settings(suffix: str, base: str, ours: str, theirs: str) -> Merged | None:
    """Merge by key; None where a version is no mapping in a form that is known."""
    try:
        before, after = _loads(suffix, base), _loads(suffix, theirs)
        document = _document(suffix, ours)
    except Exception:  # each parser has errors of its own; lines can be merged in any case
        return None
    if not all(isinstance(each, MutableMapping) for each in (before, after, document)):
        return None
    conflicts: list[str] = []
    _carry_over(before, after, document, "", conflicts)
    return Merged(_dumps(suffix, document).encode(), conflicts)


def _carry_over(before: Any, after: Any, ours: Any, prefix: str, conflicts: list[str]) -> None:
    """Make in `ours` the changes from `before` to `after`, where the owner has not made others."""
    missing = object()
    for key in dict.fromkeys([*before, *after]):
        old, new, own = (mapping.get(key, missing) for mapping in (before, after, ours))
        name = f"{prefix}{key}"
        if all(isinstance(value, MutableMapping) for value in (old, new, own)):
            _carry_over(old, new, own, f"{name}.", conflicts)
        elif new == old or own == new:
            continue
        elif own != old:
            told = ["removed" if value is missing else f"{value!r}" for value in (own, new)]
            conflicts.append(f"{name}: yours {told[0]}, new {told[1]}: yours was kept")
        elif new is missing:
            del ours[key]
        else:
            ours[key] = new


def _loads(suffix: str, text: str) -> Any:
    if suffix == ".json":
        return json.loads(text)
    if suffix == ".toml":
        import tomlkit

        return tomlkit.parse(text).unwrap()
    if suffix in (".yaml", ".yml"):
        import yaml

        return yaml.safe_load(text)
    raise ValueError(suffix)


def _document(suffix: str, text: str) -> Any:
    """A version that keeps its comments and its form when it is written again."""
    if suffix == ".toml":
        import tomlkit

        return tomlkit.parse(text)
    if suffix in (".yaml", ".yml"):
        return _yaml().load(text)
    return _loads(suffix, text)


def _dumps(suffix: str, document: Any) -> str:
    if suffix == ".toml":
        import tomlkit

        return tomlkit.dumps(document)
    if suffix in (".yaml", ".yml"):
        import io

        buffer = io.StringIO()
        _yaml().dump(document, buffer)
        return buffer.getvalue()
    return json.dumps(document, indent=2) + "\n"


def _yaml() -> Any:
    from ruamel.yaml import YAML

    parser = YAML()
    parser.preserve_quotes = True
    parser.width = 10_000
    return parser
