"""Lines of a log: what was printed, by which rank, when, and at which line of the original input."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dlcoder.text import clean

LONGEST = 16_384
"""Characters of one line that are looked at; the middle of a longer one is left out."""


@dataclass(slots=True)
class Line:
    """One printed line.

    Attributes:
        source: The name of the file, or `log` for pasted text.
        number: The line number in the original input, from 1.
        raw: The line as printed, cleaned of what a reader cannot see.
        text: The same without prefixes of launchers and loggers.
        rank: The rank that printed it, where a prefix or the file's name says so.
        time: The time stamp as printed, or an empty string.
        stream: The prefix of a collector, which tells lines of one process from those of another.
    """

    source: str
    number: int
    raw: str
    text: str
    rank: int | None
    time: str
    stream: str = ""


# What launchers put in front of a line, most specific first. Group 1 is the rank where there is one.
_RANK = re.compile(
    r"\[rank ?(\d{1,7})\]:? ?"
    r"|\[default(\d{1,7})\]: ?"
    r"|\[(?:[\w.\-]{1,80}@)?\d+,(\d{1,7})\]<std(?:out|err)>: ?"
    r"|\[pod/[^\]\s]{1,200}\] ?"
    r"|(?:worker|node|host)[\w.]{0,30}-\d{1,6}: "
    r"|\[?\(?rank[ _:=]?(\d{1,7})\)?\]?: (?=\S)"
    r"|\((?:[\w.:]+ )*pid=\d+(?:, ip=[\d.]+)?\) ?(?:\[repeated \d+x across cluster\] )?"
    r"|\[\d{3,9}\] (?=\[rank\d)"
    r"| {0,3}(\d{1,6}): (?=\S|$)",
    re.IGNORECASE,
)
_STAMP = re.compile(
    r"\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?\]?(?: - | \| | +|: )?"
    r"|\[?\d\d[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d(?:[.,]\d{1,9})?\]? +"
    r"|\[?\d\d/\d\d \d\d:\d\d:\d\d(?:[.,]\d{1,9})?\]?(?: - | +)"
    r"|\[\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\] +"
)
_LEVEL = re.compile(r"\[?(?:INFO|WARNING|ERROR|DEBUG|CRITICAL|stdout|stderr)\]?(?: - |: | \| )")
_QUOTED = re.compile(r"> (?=\S| )")
_GLOG = re.compile(r"\[?[IWEF]\d{3,8} (\d\d:\d\d:\d\d(?:\.\d+)?)")
_FILE_RANK = re.compile(
    r"(?:^|[/_.\-])(?:rank|worker|local_rank|proc|gpu|task|node_rank)?[_.\-]?(\d{1,7})(?=[/_.\-]|$)"
)
_NAMED_RANK = re.compile(r"(?:rank|worker|proc|task|default)[_.\-]?(\d{1,7})", re.IGNORECASE)


def rank_of_file(name: str) -> int | None:
    """The rank that a path names: `rank_3.log`, `attempt_0/3/stderr.log`, `slurm-12_3.out`; `None` if it does not."""
    found = _NAMED_RANK.search(name.rsplit("/", 2)[-1]) or _NAMED_RANK.search(name)
    if found:
        return int(found[1])
    parts = name.split("/")
    if len(parts) >= 2 and parts[-2].isdigit():
        return int(parts[-2])
    return None


def strip_prefixes(raw: str) -> tuple[str, int | None, str]:
    """Split a line into its text, the rank in its prefixes, and its time stamp."""
    rank: int | None = None
    time = ""
    text = raw
    for _ in range(5):
        found = _RANK.match(text)
        if found:
            value = next((group for group in found.groups() if group), None)
            rank = int(value) if value is not None and rank is None else rank
        else:
            found = _STAMP.match(text) or (_LEVEL if time else _QUOTED).match(text)
            if not found:
                break
            time = time or found[0].strip("[] |-:>")
        if found.end() == 0:
            break
        text = text[found.end() :]
    if not time:
        stamp = _GLOG.search(text[:40])
        time = stamp[1] if stamp else ""
    return text, rank, time


def shorten(text: str) -> str:
    """Leave out the middle of a line that is too long to look at."""
    if len(text) <= LONGEST:
        return text
    return text[: LONGEST // 2] + " … " + text[-LONGEST // 2 :]


def make_lines(text: str, source: str, first: int = 1, rank: int | None = None) -> Iterator[Line]:
    """Split `text` into lines; a carriage return starts a new line with the same number.

    Args:
        text: Decoded text of (a part of) one source.
        source: Its name.
        first: The line number of its first line.
        rank: The rank that the source belongs to, where known.
    """
    for number, whole in enumerate(text.split("\n"), first):
        for piece in whole.split("\r") if "\r" in whole else (whole,):
            if not piece.strip():
                continue
            raw = clean(shorten(piece)).rstrip()
            stripped, own, time = strip_prefixes(raw)
            yield Line(source, number, raw, stripped, own if own is not None else rank, time)
