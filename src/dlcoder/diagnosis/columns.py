"""Tables of numbers: a line of names, then lines of values, set apart by commas, tabs, bars or spaces."""

import re
from dataclasses import dataclass

from dlcoder.diagnosis.quantities import kind_of, number

Pair = tuple[str, float, float | None]
"""A name, its value, and the running mean that is printed beside it."""

_PROGRESS = re.compile(r"\)?:\s{1,8}\d{1,3}%.*$")
"""The bar that some trainers draw at the end of a line of names."""
_PHRASE = re.compile(r"\b(training|validation|train|valid|val|eval|test) (loss|acc\w*)", re.I)
_GAP = re.compile(r"\s{2,}|\t")
_UNIT = re.compile(r"^([-+.\deE]+|nan|inf)(?:/\d+|[KMGT]i?B?|%|s)?$", re.I)
_SHORT_LOSSES = {"box", "obj", "cls", "giou", "iou", "dfl", "seg", "pose", "kobj", "total"}
"""How detectors name the terms of their loss where the memory of the GPU stands beside them."""
_BLANK = {"", "-", "n/a", "na", "none"}


@dataclass(frozen=True)
class Columns:
    """The names of a table.

    Attributes:
        names: As printed; short names of losses are completed.
        separator: `,`, a tab, or an empty string for white space and bars.
    """

    names: tuple[str, ...]
    separator: str

    @property
    def of_classes(self) -> bool:
        """Whether each line is about one class, and one line about all of them."""
        return self.names[0].lower() == "class"


def _cells(text: str) -> tuple[list[str], str]:
    """The cells of a line of names, and what separates them."""
    if "," in text:
        return [cell.strip().strip('"') for cell in text.split(",")], ","
    if text.count("\t") >= 1 and "  " not in text.strip():
        return [cell.strip() for cell in text.strip("\n").split("\t")], "\t"
    plain = _PROGRESS.sub("", text).replace("|", "  ").strip()
    cells = [cell for cell in _GAP.split(plain) if cell]
    if len(cells) >= 3:
        return cells, ""
    return _PHRASE.sub(r"\1_\2", " ".join(plain.split())).split(), ""


def header(text: str) -> Columns | None:
    """The columns that a line names, where it is the head of a table."""
    if len(text) > 600:
        return None
    cells, separator = _cells(text)
    if not 2 <= len(cells) <= 60 or any(not _named(cell) for cell in cells if cell):
        return None
    if any("mem" in cell.lower() for cell in cells):
        cells = [f"{cell}_loss" if cell.lower() in _SHORT_LOSSES else cell for cell in cells]
    kinds = [kind_of(cell.lower()) for cell in cells]
    known = sum(kind != "" for kind in kinds)
    results = sum(kind in ("loss", "accuracy", "error") for kind in kinds)
    ordered = kinds[0] == "step" or cells[0].lower() == "class"
    if known < 2 or not (results or separator == ",") or (separator != "," and not ordered):
        return None
    return Columns(tuple(cells), separator)


def _named(cell: str) -> bool:
    return cell[:1].isalpha() and len(cell) <= 60 and not any(mark in cell for mark in ":=;")


def _value(cell: str) -> float:
    """The number in a cell; raises `ValueError` where there is none."""
    found = _UNIT.match(cell.strip(" *+,:%"))
    return number(found[1] if found else "x")


def row(columns: Columns, text: str) -> list[Pair]:
    """The values of one line of the table; empty where the line is none of it."""
    names = columns.names
    if columns.separator:
        cells = [cell.strip() for cell in text.split(columns.separator)]
        if len(cells) != len(names):
            return []
    else:
        cells = text.replace("No log", "-").replace("|", " ").split()[: len(names)]
        if len(cells) < len(names) or (columns.of_classes and cells[0] != "all"):
            return []
    pairs: list[Pair] = []
    for name, cell in zip(names, cells, strict=True):
        try:
            pairs.append((f"val {name}" if columns.of_classes else name, _value(cell), None))
        except ValueError:
            if columns.separator != "," and kind_of(name.lower()) not in ("", "time") and cell.lower() not in _BLANK:
                return []
    return pairs
