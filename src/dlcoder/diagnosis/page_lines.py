"""Lines of a log as a page shows them: those around the evidence, and a sample of a long log for its curves."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dlcoder.diagnosis.lines import Line, make_lines
from dlcoder.diagnosis.reading import SMALL, Document
from dlcoder.diagnosis.sources import Source
from dlcoder.text import clean

AROUND = 4
"""Lines shown before and after a quoted one."""
LONGEST = 1200
"""Characters of a line that are shown."""
_BLOCK = 1 << 20
_KEPT = 4 * LONGEST
_SAMPLES = 400
_SAMPLE = 6 << 10


@dataclass
class Survey:
    """What one pass over a source found.

    Attributes:
        texts: Line number -> the line as printed, cleaned; lines that do not exist are left out.
        sample: Whole lines from all over a long source, in order; empty for a short one.
    """

    texts: dict[int, str] = field(default_factory=dict)
    sample: list[Line] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """A line of an excerpt; `marks` are the numbers of the hypotheses that it speaks for (or, negative, against)."""

    number: int
    text: str
    marks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Excerpt:
    """Neighboring lines of one source, at least one of them quoted."""

    source: str
    rows: tuple[Row, ...]


def survey(source: Source, document: Document | None, wanted: Iterable[int]) -> Survey:
    """Look up lines by number, in bounded memory.

    Args:
        source: The log.
        document: The same, read; its lines are used where they are all there are.
        wanted: Line numbers, from 1.

    Raises:
        UserError: The source cannot be read.
    """
    numbers = sorted(number for number in set(wanted) if number > 0)
    if source.path is None:
        return Survey(_of_text(source.text, numbers))
    if document is not None and not document.routine:
        printed: dict[int, list[str]] = {}
        for line in document.lines:
            printed.setdefault(line.number, []).append(line.raw)
        last = max([document.total_lines, *printed])
        return Survey({n: _shown("\r".join(printed.get(n, [""]))) for n in numbers if n <= last})
    return _stream(source, numbers)


def _of_text(text: str, numbers: Sequence[int]) -> dict[int, str]:
    lines = text.split("\n")
    return {number: _shown(lines[number - 1]) for number in numbers if number <= len(lines)}


def _stream(source: Source, numbers: Sequence[int]) -> Survey:
    """Count lines block by block; split only the blocks that hold a wanted line, and the first bytes of some others."""
    pieces: dict[int, bytes] = {}
    found = Survey()
    every = max(source.size // (_SAMPLES * _BLOCK), 1)
    each = (
        _SAMPLE
        if source.size > _SAMPLES * _BLOCK // 4
        else max(_BLOCK * _SAMPLES * _SAMPLE // max(source.size, 1), _SAMPLE)
    )
    number = 1
    with source.open() as stream:
        for index, block in enumerate(iter(lambda: stream.read(_BLOCK), b"")):
            count = block.count(b"\n")
            first = bisect_left(numbers, number)
            if first < len(numbers) and numbers[first] <= number + count:
                lines = block.split(b"\n")
                for wanted in numbers[first:]:
                    if wanted > number + count:
                        break
                    pieces[wanted] = (pieces.get(wanted, b"") + lines[wanted - number][:_KEPT])[:_KEPT]
            if index % every == 0 and source.size > SMALL:
                found.sample += _sampled(block, number, source, each)
            number += count
    found.texts = {wanted: _shown(data.decode("utf-8", "replace")) for wanted, data in pieces.items()}
    return found


def _sampled(block: bytes, number: int, source: Source, each: int) -> list[Line]:
    """Whole lines from a few places of a block, with their numbers."""
    lines: list[Line] = []
    places = max(min(each // _SAMPLE, _BLOCK // _SAMPLE), 1)
    for place in range(places):
        start = len(block) * place // places
        begin = block.find(b"\n", start) + 1
        end = block.rfind(b"\n", begin, start + min(_SAMPLE, len(block) // places))
        if 0 < begin < end:
            text = block[begin:end].decode("utf-8", "replace")
            lines += make_lines(text, source.name, number + block.count(b"\n", 0, begin), source.rank)
    return lines


def _shown(text: str) -> str:
    """The line as a terminal would leave it: what a carriage return overwrote is gone."""
    pieces = [piece for piece in text.split("\r") if piece.strip()]
    return clean(pieces[-1] if pieces else "", LONGEST).rstrip().expandtabs(4)


def windows(numbers: Iterable[int], around: int = AROUND) -> Iterator[range]:
    """The ranges of line numbers around `numbers`, merged where they touch."""
    start = stop = 0
    for number in sorted(set(numbers)):
        if stop and number - around <= stop:
            stop = number + around + 1
            continue
        if stop:
            yield range(start, stop)
        start, stop = max(number - around, 1), number + around + 1
    if stop:
        yield range(start, stop)


def excerpts(source: str, texts: Mapping[int, str], marks: Mapping[int, Sequence[int]]) -> list[Excerpt]:
    """Excerpts of one source around the lines that carry marks.

    Args:
        source: Its name.
        texts: Line number -> text, as `survey` gives it.
        marks: Number of a quoted line -> hypotheses for (or, negative, against) which it speaks.
    """
    found = []
    for window in windows(number for number in marks if number in texts):
        rows = tuple(Row(n, texts[n], tuple(marks.get(n, ()))) for n in window if n in texts)
        found.append(Excerpt(source, rows))
    return found
