"""Read a source into the lines that matter: all of a small one, and windows of a large one, in bounded memory."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from dlcoder.diagnosis.lines import Line, make_lines
from dlcoder.diagnosis.matcher import locator
from dlcoder.diagnosis.sources import Source
from dlcoder.diagnosis.wrapping import unfold, without_prefixes

SMALL = 384 * 1024
"""Bytes up to which a source is read whole."""
_BLOCK = 2 << 20
_OVERLAP = 8 << 10
_HEAD = 24 << 10
_AROUND = (6 << 10, 6 << 10)
_MOST_WINDOWS = 48
_LONGEST_PASTE = 4 << 20
_MOST_LINES = 2500
_RARE = 40
_SAMPLED = 160
_BEFORE_NAN = 30
# Lines that count although there are many alike: up to so many of a kind.
_KEPT = re.compile(rb"WorkNCCL\(|last enqueued|[Ee]rror\b|ERROR|Exception|Traceback|Killed|FATAL|[Ff]atal|Assertion")
_KEPT_TOKENS: tuple[bytes, ...] = (
    b"WorkNCCL(",
    b"last enqueued",
    b"rror",
    b"ERROR",
    b"Exception",
    b"Traceback",
    b"Killed",
    b"atal",
    b"FATAL",
)
_KEPT_TOKENS += (b"Assertion", b"nan", b"NaN", b"NAN")
_KEPT_ALIKE = {True: 2000, False: 100}
_NAN = re.compile(rb"\bnan\b|\bNaN\b|\bNAN\b")
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
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    return data.decode("utf-16" if utf16 else "utf-8", "replace")


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


def _kept(pieces: list[tuple[int, bytes]], routine: list[bool]) -> list[bool]:
    """Which pieces to look at: the odd ones, messages up to a number of each kind, and what leads to the first NaN."""
    keep = [not usual for usual in routine]
    everything = b"\n".join(data for _, data in pieces)
    if not any(token in everything for token in _KEPT_TOKENS):
        return keep
    alike: Counter[bytes] = Counter()
    first_nan = None
    for i, (_, data) in enumerate(pieces):
        if keep[i]:
            continue
        if first_nan is None and _NAN.search(data[:2000]):
            first_nan = i
        if _KEPT.search(data[:2000]):
            template = _template(data)
            alike[template] += 1
            keep[i] = alike[template] <= _KEPT_ALIKE[b"WorkNCCL(" in data]
    if first_nan is not None:
        for i in range(max(first_nan - _BEFORE_NAN, 0), min(first_nan + 6, len(pieces))):
            keep[i] = True
    return keep


def _thin(document: Document, pieces: list[tuple[int, bytes]]) -> Document:
    """Fill `document` with the odd lines among `pieces` and a sample of the ordinary ones."""
    name, rank = document.name, document.rank
    routine = _is_routine(pieces)
    keep = _kept(pieces, routine)
    rare = [piece for piece, wanted in zip(pieces, keep, strict=True) if wanted]
    usual = [piece for piece, common in zip(pieces, routine, strict=True) if common]
    document.lines = _as_lines(rare[:2500] + rare[-2500:] if len(rare) > 5000 else rare, name, rank)
    step = max(len(usual) // _SAMPLED, 1)
    document.routine = _as_lines(usual[::step][-_SAMPLED:] + usual[-1:], name, rank)
    lone = [pieces[i] for i in range(1, len(pieces) - 1) if not routine[i] and routine[i - 1] and routine[i + 1]]
    document.passing = {(line.number, line.raw) for line in _as_lines(lone[:2000], name, rank)}
    return document


def read_large(source: Source) -> Document:
    """Read a large source: head, tail and the surroundings of messages, less its ordinary lines."""
    hits, newlines, size = _scan(source)
    pieces = [
        piece for number, data in _fetch(source, _windows(hits, size), newlines) for piece in _pieces(number, data)
    ]
    return _thin(Document(source.name, source.rank, [], size=size, total_lines=newlines[-1][1]), pieces)


def _read_whole(source: Source, data: bytes, first: int = 1) -> Document:
    """Read `data` line by line; of more lines than can be looked at, the odd ones."""
    document = Document(source.name, source.rank, [], size=source.size, total_lines=data.count(b"\n") + 1)
    pieces = list(_pieces(first, data))
    if len(pieces) > _MOST_LINES:
        return _thin(document, pieces)
    document.lines = _as_lines(pieces, source.name, source.rank)
    return document


def _as_lines(pieces: list[tuple[int, bytes]], name: str, rank: int | None) -> list[Line]:
    decoded = ((number, unfold(_decode(data[:65536]))) for number, data in pieces)
    lines = [line for number, text in decoded if _is_text(text) for line in make_lines(text, name, number, rank)]
    return without_prefixes(lines)


_ODD = re.compile("[\ufffd\x7f-\xff\x00-\x08]")


def _is_text(line: str) -> bool:
    """Whether a line is text: no message is made of control characters, bytes of a picture, or undecodable ones."""
    return len(_ODD.findall(line, 0, 400)) <= 0.2 * min(len(line), 400)


def read(source: Source) -> Document:
    """Read one source.

    Raises:
        UserError: It cannot be read.
    """
    if source.path is None:
        data = source.text.encode("utf-8", "replace")
        if len(data) <= _LONGEST_PASTE:
            return _read_whole(source, data)
        start = len(data) - _LONGEST_PASTE
        return _read_whole(source, data[start:], data.count(b"\n", 0, start) + 1)
    with source.open() as stream:
        data = stream.read(SMALL + 1)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = _decode(data).encode("utf-8", "replace")
    return read_large(source) if len(data) > SMALL else _read_whole(source, data)
