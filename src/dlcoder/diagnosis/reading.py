"""Read a source into the lines that matter: all of a small one, and windows of a large one, in bounded memory."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from dlcoder.diagnosis.lines import Line, make_lines
from dlcoder.diagnosis.matcher import locator
from dlcoder.diagnosis.sources import Source

SMALL = 384 * 1024
"""Bytes up to which a source is read whole."""
_BLOCK = 2 << 20
_OVERLAP = 8 << 10
_HEAD = 24 << 10
_AROUND = (6 << 10, 6 << 10)
_MOST_WINDOWS = 48
_RARE = 40
_DIGITS = b"0123456789.+-#=>% \t\xe2\x96\x88\x8f\x8e\x8d\x8c\x8b\x8a\x89"


@dataclass
class Document:
    """One source, read.

    Attributes:
        name: Its name in the answer.
        rank: The rank that its name says.
        lines: The lines to be looked at; all of a small source.
        routine: A few of the lines that the source is full of: its ordinary progress.
        size: Its size in bytes.
        total_lines: How many lines it has.
        passing: (number, text) of single odd lines with ordinary progress on both sides: the run went on unmoved.
    """

    name: str
    rank: int | None
    lines: list[Line]
    routine: list[Line] = field(default_factory=list)
    size: int = 0
    total_lines: int = 0
    passing: set[tuple[int, str]] = field(default_factory=set)


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    while block := stream.read(_BLOCK):
        yield block


@dataclass
class _Window:
    start: int
    end: int


def _decode(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8", "replace")


def _scan(source: Source) -> tuple[list[int], list[tuple[int, int]], int]:
    """One pass: offsets of hits, (offset, newlines before) at block starts, and the size."""
    engine = locator()
    hits: list[int] = []
    newlines: list[tuple[int, int]] = []
    per_pattern: Counter[int] = Counter()
    offset = lines = 0
    carry = b""
    with source.open() as stream:
        for block in _blocks(stream):
            newlines.append((offset, lines))
            base = offset - len(carry)
            for pattern, end in engine.find(carry + block):
                per_pattern[pattern] += 1
                if per_pattern[pattern] <= 8 or len(hits) < 64:
                    hits.append(base + end)
            offset += len(block)
            lines += block.count(b"\n")
            carry = block[-_OVERLAP:]
    newlines.append((offset, lines))
    return hits, newlines, offset


def _windows(hits: list[int], size: int) -> list[_Window]:
    tail = min(max(192 << 10, size // 50), 3 << 20)
    wanted = [_Window(0, min(_HEAD, size)), _Window(max(size - tail, 0), size)]
    chosen = hits if len(hits) <= _MOST_WINDOWS else hits[: _MOST_WINDOWS // 2] + hits[-_MOST_WINDOWS // 2 :]
    wanted += [_Window(max(hit - _AROUND[0], 0), min(hit + _AROUND[1], size)) for hit in chosen]
    merged: list[_Window] = []
    for window in sorted(wanted, key=lambda w: w.start):
        if merged and window.start <= merged[-1].end + 256:
            merged[-1].end = max(merged[-1].end, window.end)
        else:
            merged.append(window)
    return merged


def _fetch(source: Source, windows: list[_Window], newlines: list[tuple[int, int]]) -> Iterator[tuple[int, bytes]]:
    """The text of each window, cut to whole lines, with the number of its first line."""
    starts = [offset for offset, _ in newlines]
    with source.open() as stream:
        for window in windows:
            mark, number = newlines[max(bisect_right(starts, window.start) - 1, 0)]
            stream.seek(mark)
            lead = stream.read(window.start - mark)
            number += lead.count(b"\n")
            data = stream.read(window.end - window.start)
            if window.start > 0 and lead[-1:] not in (b"\n", b"\r"):
                cut = min((i for i in (data.find(b"\n"), data.find(b"\r")) if i >= 0), default=-1)
                if 0 <= cut < 65536:
                    number += data[: cut + 1].count(b"\n")
                    data = data[cut + 1 :]
            yield number + 1, data


def _is_routine(pieces: list[tuple[int, bytes]]) -> list[bool]:
    """Which of the pieces are lines that the source is full of."""
    templates = [_template(data) for _, data in pieces]
    counts = Counter(templates)
    return [counts[template] > _RARE for template in templates]


def _template(line: bytes) -> bytes:
    return line[:160].translate(None, _DIGITS)[:28]


def _pieces(number: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    for line in data.split(b"\n"):
        for piece in line.split(b"\r") if b"\r" in line else (line,):
            if piece.strip():
                yield number, piece
        number += 1


def read_large(source: Source) -> Document:
    """Read a large source: head, tail and the surroundings of messages, less its ordinary lines."""
    hits, newlines, size = _scan(source)
    pieces = [
        piece for number, data in _fetch(source, _windows(hits, size), newlines) for piece in _pieces(number, data)
    ]
    routine = _is_routine(pieces)
    rare = [piece for piece, usual in zip(pieces, routine, strict=True) if not usual]
    usual = [piece for piece, usual in zip(pieces, routine, strict=True) if usual]
    kept = rare[:4000] + rare[-4000:] if len(rare) > 8000 else rare
    document = Document(source.name, source.rank, [], size=size, total_lines=newlines[-1][1])
    document.lines = _as_lines(kept, source)
    document.routine = _as_lines(usual[:20] + usual[-60:], source)
    lone = [
        pieces[i]
        for i in range(1, len(pieces) - 1)
        if not routine[i] and routine[i - 1] and routine[i + 1]
    ]
    document.passing = {(line.number, line.raw) for line in _as_lines(lone[:2000], source)}
    return document


def _as_lines(pieces: list[tuple[int, bytes]], source: Source) -> list[Line]:
    return [
        line for number, data in pieces for line in make_lines(_decode(data[:65536]), source.name, number, source.rank)
    ]


def read(source: Source) -> Document:
    """Read one source.

    Raises:
        UserError: It cannot be read.
    """
    if source.path is None:
        text = source.text
        lines = list(make_lines(text, source.name)) if len(text) <= 8 * SMALL else list(_middle_out(text, source.name))
        return Document(source.name, None, lines, size=len(text), total_lines=text.count("\n") + 1)
    with source.open() as stream:
        data = stream.read(SMALL + 1)
    if len(data) > SMALL:
        return read_large(source)
    text = _decode(data)
    lines = list(make_lines(text, source.name, rank=source.rank))
    return Document(source.name, source.rank, lines, size=len(data), total_lines=text.count("\n"))


def _middle_out(text: str, name: str) -> Iterator[Line]:
    """The first and last part of a very long paste."""
    head, tail = text[: 2 * SMALL], text[-6 * SMALL :]
    yield from make_lines(head, name)
    yield from make_lines(tail, name, text.count("\n", 0, len(text) - len(tail)) + 1)
