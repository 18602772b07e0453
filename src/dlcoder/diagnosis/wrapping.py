"""What collectors and copying do to lines: JSON records, lost line breaks, and prefixes learned from the log itself.

Launchers whose prefixes name a rank are known to `lines`. There are as many other prefixes as log collectors (pods,
containers, loggers, editors), and none needs to be known: what stands before `Traceback (most recent call last)` and
recurs on the next line is one.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from dlcoder.diagnosis.lines import Line, strip_prefixes

_MARK = "Traceback (most recent call last)"
_RECORD_KEYS = ("message", "log", "msg", "textPayload", "text", "line")
_LONGEST_PREFIX = 160
_MOST_PREFIXES = 16
_BREAK = re.compile(r"\s*<br ?/?>\s?")
_LISTED = re.compile(r"""['"], ?['"]""")
_FRAME_IN_LINE = re.compile(r'\s+(?=File "[^"]{1,300}", line \d{1,7}, in )')
_CODE_IN_LINE = re.compile(r'^(File "[^"]{1,300}", line \d{1,7}, in (?:<\w+>|[\w.]{1,80})) +')
_RAISED_IN_LINE = re.compile(r" (?=(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Iteration)\b(?::|$))")
_RANK = re.compile(r"\brank\W{0,2}(\d{1,7})|@\d+,(\d{1,7})\]|\btrainer/(\d{1,7})\b|^\s*(\d{1,6}): $", re.IGNORECASE)
_VARYING = re.compile(r"(\d+)|(INFO|WARN(?:ING)?|ERROR|DEBUG|CRITICAL|stdout|stderr|[IWEF](?=\d{4}))|(\s+)")


def unfold(line: str) -> str:
    """The text within a JSON record or an escaped traceback; other lines as they are.

    The lines within get carriage returns between them, so that all keep the number of the line in the file.
    """
    if line.startswith("{") and any(f'"{key}"' in line for key in _RECORD_KEYS):
        line = _of_record(line)
    return _with_breaks(line) if _MARK in line else line


def _of_record(line: str) -> str:
    try:
        record = json.loads(line)
        message = next(record[key] for key in _RECORD_KEYS if record.get(key))
        if isinstance(message, str):
            return message.rstrip("\n").replace("\n", "\r")
        stack = str(message.get("extraInfo", {}).get("py_callstack", ""))
        said = str(message.get("message", ""))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, StopIteration):
        return line
    return (stack if said and said in stack else f"{stack}\n{said}").replace("\n", "\r")


def _with_breaks(line: str) -> str:
    """A traceback on one line, broken where it was."""
    if "\\n" in line:
        return line.replace("\\n", "\r").replace('\\"', '"')
    if "<br" in line:
        return _BREAK.sub("\r", line)
    if "\r" in line:
        return line
    if len(_LISTED.findall(line)) >= 2:
        return _LISTED.sub("\r", line)
    head, *frames = _FRAME_IN_LINE.split(line)
    broken = [_CODE_IN_LINE.sub("\\1\r", frame) for frame in frames]
    if broken:
        broken[-1] = "\r".join(_RAISED_IN_LINE.split(broken[-1], maxsplit=1))
    return "\r".join([head, *broken])


def _shape(prefix: str) -> re.Pattern[str]:
    """The prefixes that differ from this one in numbers, levels and the width of columns alone."""
    body = prefix.rstrip(" ")
    parts = ["^"]
    start = 0
    for found in _VARYING.finditer(body):
        parts.append(re.escape(body[start : found.start()]))
        parts.append(r"\d+" if found[1] else "[A-Za-z]+" if found[2] else r"\s*" if found.start() == 0 else r"\s+")
        start = found.end()
    parts.append(re.escape(body[start:]))
    gap = len(prefix) - len(body)
    return re.compile(f"{''.join(parts)}(?: {{{gap}}}|$)")


def _learned(lines: Sequence[Line]) -> list[re.Pattern[str]]:
    """The shapes of the prefixes that stand before tracebacks and recur right after."""
    shapes: dict[str, re.Pattern[str]] = {}
    for i in [i for i, line in enumerate(lines[:-1]) if _MARK in line.raw]:
        line = lines[i]
        if len(shapes) >= _MOST_PREFIXES:
            break
        for prefix in filter(None, map(_before_mark, (line.text, line.raw))):
            shape = _shape(prefix)
            if shape.pattern not in shapes and any(shape.match(after.text) for after in lines[i + 1 : i + 4]):
                shapes[shape.pattern] = shape
    return list(shapes.values())


def _before_mark(text: str) -> str:
    """What stands before the head of a traceback, or an empty string."""
    prefix = text[: max(text.find(_MARK, 0, _LONGEST_PREFIX + len(_MARK)), 0)].removesuffix("Original ")
    return prefix if prefix.strip(" |+>") else ""


def without_prefixes(lines: list[Line]) -> list[Line]:
    """The lines less the prefixes that the log's own tracebacks show; ranks and times within them are read."""
    shapes = _learned(lines)
    return [_stripped(line, shapes) for line in lines] if shapes else lines


def _stripped(line: Line, shapes: Sequence[re.Pattern[str]]) -> Line:
    found = next((match for match in (shape.match(line.text) for shape in shapes) if match), None)
    if not found:
        return line
    text, rank, time = strip_prefixes(line.text[found.end() :])
    named = _RANK.search(found[0])
    own = int(next(group for group in named.groups() if group)) if named else rank
    return replace(
        line, text=text, rank=line.rank if line.rank is not None else own, time=line.time or time, stream=found[0]
    )
