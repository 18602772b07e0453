"""Python tracebacks as people paste them: whole, cut at either end, chained, from workers, from notebooks."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dlcoder.diagnosis.lines import Line

_FRAME = re.compile(r"^[\s|>+]*File \"?([^\"\n]{1,400}?)\"?, line (\d+)(?:, in ?([^\n(]{0,120}))?")
_CELL = re.compile(
    r"^\s*(?:File |\[)?(~?/?[\w./\\\-~ <>:]{1,300}?\.py|<ipython-input-[^>]{1,60}>|Cell In ?\[\d+\])"
    r"(?:\]\(\S{1,200}\))?(?:[:,]? ?(?:line )?\d+)?,? in ([\w.<>]{1,80})(?:\(|$)"
)
_EXCEPTION = re.compile(
    r"^[\s|]*(?:E  +|\*+ |ERROR[: ]+|Exception: )?((?:[A-Za-z_]\w*\.){0,6})"
    r"([A-Z]\w{0,60}(?:Error|Exception|Interrupt|Exit|Iteration|Unsupported|Failed|Fault|Hit|Exceeded|NotFound|Full"
    r"|Timeout|Refused|Violation|Mismatch|Abort|Empty|Missing|MissingMandatoryValue|Raised)|Exception)"
    r"(?: ?: ?(.*)|\s*)$"
)
_WARNING = re.compile(r"\w*Warning$")
_HEADER = re.compile(r"Traceback \(most recent call|Original Traceback|^-{20,}$")
_CHAIN = re.compile(
    r"During handling of the above exception|direct cause of the following exception"
    r"|-- Process \d+ terminated with the following error"
)
LIBRARY = re.compile(
    r"(?:site|dist)-packages[/\\]([\w.\-]+)|[/\\](?:lib[/\\])?python\d(?:\.\d+)?[/\\](?!site-|dist-)(\w+)"
)


@dataclass(frozen=True)
class Frame:
    """One frame: file, function, its source line where it was printed."""

    file: str
    function: str
    code: str
    line: Line

    @property
    def library(self) -> str:
        """The installed package that the file belongs to, or an empty string for the user's own code."""
        found = LIBRARY.search(self.file)
        return (found[1] or found[2] or "").removesuffix(".py").lower() if found else ""


_LOOKUPS = ("__getattr__", "__getattribute__")


@dataclass(frozen=True)
class Raised:
    """An exception with the frames that led to it.

    Attributes:
        name: Class name without its module.
        module: Module of the class, where it was printed.
        message: The message, up to ten lines.
        frames: Outermost first; empty where only the last line was pasted.
        line: The line of the exception itself.
        inner: Whether it was raised by a worker or child, inside of another.
        before: The two lines above, where they are all that was pasted of the traceback.
    """

    name: str
    module: str
    message: str
    frames: tuple[Frame, ...]
    line: Line
    inner: bool = False
    before: str = ""

    @property
    def own(self) -> Frame | None:
        """The deepest frame of the user's own code."""
        return next((frame for frame in reversed(self.frames) if not frame.library), None)

    @property
    def deepest(self) -> Frame | None:
        """The deepest frame that does more than look an attribute up."""
        return next((frame for frame in reversed(self.frames) if frame.function not in _LOOKUPS), None)


@dataclass
class _Open:
    frames: list[Frame] = field(default_factory=list)
    inner: bool = False


def _frame(lines: Sequence[Line], i: int) -> Frame | None:
    found = _FRAME.match(lines[i].text[:600]) or _CELL.match(lines[i].text[:600])
    if not found:
        return None
    function = (found[3] if found.re is _FRAME else found[2]) or ""
    code = ""
    for follower in lines[i + 1 : i + 12]:
        if (
            _FRAME.match(follower.text[:600])
            or _CELL.match(follower.text[:600])
            or _EXCEPTION.match(follower.text[:400])
        ):
            break
        arrow = re.match(r"^\s*-+> ?\d* ?(.*)", follower.text)
        if arrow:
            code = arrow[1]
            break
        if not code and not re.match(r"^\s*[\^~]+\s*$", follower.text) and found.re is _FRAME:
            code = follower.text.strip()
    return Frame(found[1], function.strip(), code[:300], lines[i])


def _message(lines: Sequence[Line], i: int, first: str) -> str:
    """The message with the lines that continue it."""
    parts = [first]
    for follower in lines[i + 1 : i + 10]:
        text = follower.text
        if not text.strip() or _FRAME.match(text[:600]) or _HEADER.search(text) or _CHAIN.search(text):
            break
        parts.append(text.strip())
    return "\n".join(parts)[:3000]


def _raised(lines: Sequence[Line], i: int, state: _Open) -> Raised | None:
    """The exception that line `i` names, with the frames collected so far."""
    line = lines[i]
    match = _EXCEPTION.match(line.text[:2000])
    if not match or _WARNING.search(match[2]):
        return None
    message = _message(lines, i, match[3] or "")
    before = "" if state.frames else "\n".join(above.text for above in lines[max(i - 2, 0) : i])[:400]
    return Raised(match[2], match[1].rstrip("."), message, tuple(state.frames), line, state.inner, before)


def _unfinished(state: _Open) -> Iterator[Raised]:
    """An assertion whose own line was cut off."""
    if state.frames and state.frames[-1].code.startswith("assert"):
        last = state.frames[-1]
        yield Raised("AssertionError", "", last.code, tuple(state.frames), last.line, state.inner)


_STAMPED = re.compile(r"\d{4}-\d\d-\d\d[T ]?|\d\d:\d\d:\d\d(?:[.,]\d+)?|^\s*\d+\W*$")


def _by_process(lines: Sequence[Line]) -> list[list[Line]]:
    """The lines of each rank and, where a collector tells them apart, of each process, in order."""
    groups: dict[tuple[int | None, str], list[Line]] = {}
    for line in lines:
        process = _STAMPED.sub("", line.stream) if line.stream else ""
        groups.setdefault((line.rank, process), []).append(line)
    return list(groups.values())


def _exceptions_of(lines: Sequence[Line]) -> Iterator[Raised]:
    """The exceptions of one process, in order of printing."""
    state = _Open()
    for i, line in enumerate(lines):
        chained = bool(_CHAIN.search(line.text)) or "Original Traceback" in line.text
        if chained or _HEADER.search(line.text):
            state.inner = state.inner or (chained and "direct cause" not in line.text)
            state.frames = []
        elif frame := _frame(lines, i):
            state.frames += [frame] if len(state.frames) < 500 else []
        elif raised := _raised(lines, i, state):
            yield raised
            state.frames = []
    yield from _unfinished(state)


def find_exceptions(lines: Sequence[Line], limit: int = 400) -> list[Raised]:
    """Return the exceptions in order of printing, at most `limit`.

    Lines of several ranks or processes may be interleaved: each is read by itself.
    """
    found = [raised for group in _by_process(lines) for raised in _exceptions_of(group)]
    places = {(line.source, line.number, line.raw): i for i, line in reversed(list(enumerate(lines)))}
    found.sort(key=lambda raised: places[raised.line.source, raised.line.number, raised.line.raw])
    return found[:limit]


_TAIL = 30
_TRAILING = 4


def last_frame(lines: Sequence[Line]) -> Frame | None:
    """The frame with which the log ends, where the line that would name the exception is missing."""
    tail = [line for line in lines[-_TAIL:] if line.text.strip()]
    for i in range(len(tail) - 1, max(len(tail) - 1 - _TRAILING, -1), -1):
        if frame := _frame(tail, i):
            return frame
    return None
